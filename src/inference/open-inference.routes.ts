import { z } from '@hono/zod-openapi'

import { problems } from '../gateway/problems.ts'
import { type Route, route } from '../gateway/route.ts'
import { inferRequestSchema } from './open-inference/infer-request.ts'
import type { Infer, InferAnswer } from './open-inference/infer.ts'
import { common, modelAndVersion, tensor } from './open-inference/routing.ts'
import { inferenceProblems } from './problems.ts'
import type { ReadableModels } from './readable-models.ts'

const JSON_LENGTH = 'inference-header-content-length'
const BYTES = 'application/octet-stream'
const withBytes = {
  schema: z.string().openapi({
    format: 'binary',
    description:
      'JSON, as long as the header `Inference-Header-Content-Length` says, and behind it the bytes of tensors',
  }),
  example: 'JSON and bytes',
}

const requestExample = {
  id: '42',
  inputs: [{ name: 'features', datatype: 'FP64', shape: [1, 2], data: [0.31, 61.5] }],
}
const answer = z.object({
  model_name: z.string(),
  model_version: z.string(),
  id: z.string().optional(),
  outputs: z.array(tensor.extend({ data: z.array(z.unknown()).optional() })),
})
const answerExample = {
  model_name: 'regression',
  model_version: '1',
  id: '42',
  outputs: [{ name: 'price', datatype: 'FP64', shape: [1, 1], data: [571.2] }],
}

const failures = [
  inferenceProblems.unknownModel,
  inferenceProblems.notLoaded,
  inferenceProblems.overloaded,
  inferenceProblems.unavailable,
  inferenceProblems.runTimeout,
]

/** Inference by the Open Inference Protocol, version 2, as Triton, KServe and MLServer speak it. */
export function openInferenceRoutes(deps: { models: ReadableModels; infer: Infer }): Route[] {
  const { models, infer } = deps
  return modelAndVersion.map(({ path, pathParameters, of }) =>
    route(
      {
        ...common,
        method: 'post',
        access: 'predict',
        body: 'stream',
        path: `${path}/infer`,
        pathParameters,
        summary: `Ask ${of}`,
        description:
          'JSON as the Open Inference Protocol has it, flat or nested; or JSON and the bytes of tensors behind it, with the header `Inference-Header-Content-Length`. In floats null is a missing value. A forecast takes `last_timestamp` [rows] or `timestamps` [rows, values] as `BYTES` too, and then answers `timestamps` [rows, steps].',
        answers: {
          200: {
            description: 'The outputs',
            schema: answer,
            example: answerExample,
            alsoAs: { [BYTES]: withBytes },
          },
        },
        streamed: {
          'application/json': { schema: inferRequestSchema, example: requestExample },
          [BYTES]: withBytes,
        },
        problems: [...failures, problems.invalidRequest],
      },
      async ({ path: asked, body }, context) => {
        const jsonLength = context.request.headers.get(JSON_LENGTH)
        const bytes = new Uint8Array(await new Response(body).arrayBuffer())
        const model = await models.borrow(context.principal, asked.name, asked.version)
        try {
          return render(
            await infer({ body: bytes, jsonLength, model }, () => context.isAbandoned()),
          )
        } finally {
          model.giveBack()
        }
      },
    ),
  )
}

function render({ document, binary }: InferAnswer) {
  if (binary.length === 0) return { body: document }
  const json = Buffer.from(JSON.stringify(document))
  return new Response(Buffer.concat([json, ...binary]), {
    headers: {
      'content-type': BYTES,
      [JSON_LENGTH]: String(json.byteLength),
    },
  })
}
