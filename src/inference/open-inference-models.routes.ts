import { z } from '@hono/zod-openapi'

import { type Route, route } from '../gateway/route.ts'
import { formatOf } from './manifest.ts'
import { inputTensors, outputTensors } from './open-inference/model-tensors.ts'
import { modelAndVersion, reading, tensor } from './open-inference/routing.ts'
import { inferenceProblems } from './problems.ts'
import type { ReadableModels } from './readable-models.ts'

const metadata = z.object({
  name: z.string(),
  versions: z.array(z.string()),
  platform: z.string(),
  inputs: z.array(tensor),
  outputs: z.array(tensor),
})
const metadataExample = {
  name: 'regression',
  versions: ['1'],
  platform: 'lightgbm',
  inputs: [{ name: 'carat', datatype: 'FP64', shape: [-1, 1] }],
  outputs: [{ name: 'price', datatype: 'FP64', shape: [-1, 1] }],
}

/** Models as the Open Inference Protocol tells of them: by their tensors. */
export function openInferenceModelRoutes(deps: {
  models: ReadableModels
  isReady: () => Promise<boolean>
}): Route[] {
  const { models, isReady } = deps
  return modelAndVersion.flatMap(({ path, pathParameters, of }) => [
    route(
      {
        ...reading,
        path,
        pathParameters,
        summary: `The tensors of ${of}`,
        description:
          'A tensor an input, with a row a row; or all of them as one, `features` [rows, columns].',
        answers: { 200: { description: 'Metadata', schema: metadata, example: metadataExample } },
        problems: [inferenceProblems.unknownModel, inferenceProblems.notLoaded],
      },
      async ({ path: asked }, { principal }) => {
        const { manifest } = await models.look(principal, asked.name, asked.version)
        const { versions } = await models.get(principal, asked.name)
        return {
          body: {
            name: manifest.name,
            versions: [...versions.keys()].map(String),
            platform: PLATFORMS[formatOf(manifest)],
            inputs: inputTensors(manifest),
            outputs: outputTensors(manifest),
          },
        }
      },
    ),
    route(
      {
        ...reading,
        path: `${path}/ready`,
        pathParameters,
        summary: `Can ${of} be asked`,
        answers: {
          200: {
            description: 'It can',
            schema: z.object({ name: z.string(), ready: z.boolean() }),
            example: { name: 'regression', ready: true },
          },
        },
        problems: [inferenceProblems.unknownModel, inferenceProblems.notLoaded],
      },
      async ({ path: asked }, { principal }) => {
        const { manifest } = await models.look(principal, asked.name, asked.version)
        return { body: { name: manifest.name, ready: await isReady() } }
      },
    ),
  ])
}

/** As the protocol spells them. */
const PLATFORMS = { onnx: 'onnx_onnxv1', lightgbm: 'lightgbm', xgboost: 'xgboost' } as const
