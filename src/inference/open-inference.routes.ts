import { z } from '@hono/zod-openapi'

import packageJson from '../../package.json' with { type: 'json' }
import type { Actor, Principal } from '../gateway/principal.ts'
import type { Problem } from '../gateway/problem.ts'
import { problems } from '../gateway/problems.ts'
import { actorOf, type Route, route } from '../gateway/route.ts'
import { formatOf } from './manifest.ts'
import { inferRequestSchema } from './open-inference/infer-request.ts'
import type { Infer, InferAnswer } from './open-inference/infer.ts'
import { inputTensors, outputTensors } from './open-inference/model-tensors.ts'
import { readRepositoryRequest, repositoryRequest } from './open-inference/repository-request.ts'
import { DATATYPE_BYTES } from './open-inference/tensor.ts'
import { inferenceProblems } from './problems.ts'
import type { ReadableModels } from './readable-models.ts'
import type { LiveModel } from './registry/live-models.ts'
import type { Duration, ModelStats } from './serving/model-stats.ts'
import type { ServedModel } from './serving/served-model.ts'

const JSON_LENGTH = 'inference-header-content-length'
const EXTENSIONS = [
  'binary_tensor_data',
  'classification',
  'model_repository',
  'schedule_policy',
  'statistics',
]

const datatype = z.enum(Object.keys(DATATYPE_BYTES) as [string, ...string[]])
const tensor = z.object({ name: z.string(), datatype, shape: z.array(z.int()) })
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

const duration = z.object({ count: z.int(), ns: z.int() })
const statistics = z.object({
  model_stats: z.array(
    z.object({
      name: z.string(),
      version: z.string(),
      last_inference: z.int(),
      inference_count: z.int(),
      execution_count: z.int(),
      inference_stats: z.record(z.string(), duration),
      batch_stats: z.array(z.object({ batch_size: z.int(), compute_infer: duration })),
    }),
  ),
})

const failures = [
  inferenceProblems.unknownModel,
  inferenceProblems.notLoaded,
  inferenceProblems.overloaded,
  inferenceProblems.unavailable,
  inferenceProblems.runTimeout,
]

interface Asked {
  name: string
  version?: string | undefined
}

/** The protocol has one form for all that went wrong, and 400 for whatever of a request does not fit. */
function refusal({ kind, options }: Problem) {
  const { errors } = (options.members ?? {}) as {
    errors?: { pointer?: string; detail: string }[]
  }
  const faults = errors?.map(({ pointer, detail }) =>
    pointer === undefined || pointer === '#' ? detail : `${pointer}: ${detail}`,
  )
  const error = faults?.join(' ') ?? options.detail ?? `${kind.title}. ${kind.advice}`
  return { status: kind.status === 422 ? 400 : kind.status, body: { error } }
}

/**
 * Loads or unloads a model, here at once and on the other instances a moment later.
 *
 * @throws {Problem} 503 where it does not load.
 */
type SetLoaded = (name: string, isLoaded: boolean, actor: Actor) => Promise<void>

/** The Open Inference Protocol, version 2, as Triton, KServe and MLServer speak it. */
export function openInferenceRoutes(deps: {
  models: ReadableModels
  infer: Infer
  setLoaded: SetLoaded
  /** Rejects when no model can be run. */
  requireReady(): Promise<void>
}): Route[] {
  const { models, infer, setLoaded, requireReady } = deps
  const common = { tag: 'inference', refusal } as const
  const health = { ...common, method: 'get', access: 'open', rate: 'none' } as const
  const reading = { ...common, method: 'get', access: 'models:read' } as const

  const look = (reader: Principal, { name, version }: Asked) => models.look(reader, name, version)

  const isReady = () =>
    requireReady().then(
      () => true,
      () => false,
    )

  const aModel = z.object({ name: z.string() })
  const aVersion = z.object({ name: z.string(), version: z.string() })
  const either = [
    { path: '/v2/models/{name}', pathParameters: aModel, of: 'a model' },
    {
      path: '/v2/models/{name}/versions/{version}',
      pathParameters: aVersion,
      of: 'a version of a model',
    },
  ] as const

  return [
    route(
      {
        ...health,
        isSelfContained: true,
        path: '/v2/health/live',
        summary: 'Is the server alive',
        answers: {
          200: {
            description: 'It is',
            schema: z.object({ live: z.literal(true) }),
            example: { live: true },
          },
        },
      },
      () => ({ body: { live: true } }),
    ),
    route(
      {
        ...health,
        path: '/v2/health/ready',
        summary: 'Can models be asked',
        answers: {
          200: {
            description: 'They can',
            schema: z.object({ ready: z.boolean() }),
            example: { ready: true },
          },
          503: {
            description: 'Not now',
            schema: z.object({ ready: z.boolean() }),
            example: { ready: false },
          },
        },
      },
      async () => {
        const ready = await isReady()
        return { status: ready ? 200 : 503, body: { ready } }
      },
    ),
    route(
      {
        ...common,
        method: 'get',
        access: 'open',
        isSelfContained: true,
        path: '/v2',
        summary: 'What the server is, and which extensions it has',
        answers: {
          200: {
            description: 'Name, version and extensions',
            schema: z.object({
              name: z.string(),
              version: z.string(),
              extensions: z.array(z.string()),
            }),
            example: { name: 'quintet', version: packageJson.version, extensions: EXTENSIONS },
          },
        },
      },
      () => ({
        body: { name: 'quintet', version: packageJson.version, extensions: EXTENSIONS },
      }),
    ),
    route(
      {
        ...reading,
        path: '/v2/models/stats',
        summary: 'Counts and times of all models',
        answers: {
          200: {
            description: 'Since the start of this instance',
            schema: statistics,
            example: { model_stats: [] },
          },
        },
      },
      async (_, { principal }) => ({
        body: { model_stats: (await models.list(principal)).flatMap(loadedOf).map(statsOf) },
      }),
    ),
    route(
      {
        ...common,
        method: 'post',
        access: 'models:read',
        path: '/v2/repository/index',
        summary: 'The models, and which can be asked',
        body: {
          schema: z.strictObject({ ready: z.boolean().optional() }),
          example: {},
          isOptional: true,
        },
        answers: {
          200: {
            description: 'A list',
            schema: z.array(
              z.object({
                name: z.string(),
                version: z.string(),
                state: z.string(),
                reason: z.string(),
              }),
            ),
            example: [{ name: 'regression', version: '1', state: 'READY', reason: '' }],
          },
        },
      },
      async ({ body: { ready } }, { principal }) => ({
        body: (await models.list(principal))
          .flatMap(indexOf)
          .filter(({ state }) => ready !== true || state === READY),
      }),
    ),
    ...(['load', 'unload'] as const).map((verb) =>
      route(
        {
          ...common,
          method: 'post',
          access: 'models:write',
          path: `/v2/repository/models/{name}/${verb}`,
          pathParameters: aModel,
          summary: verb === 'load' ? 'Load a model' : 'Unload a model',
          description:
            verb === 'load'
              ? 'Those versions that traffic leads to. What was loaded goes on serving meanwhile, and where the load fails.'
              : 'All its versions. Requests that are under way are answered; later ones are refused, on every instance.',
          body: 'stream',
          streamed: { 'application/json': { schema: repositoryRequest, example: {} } },
          answers: { 200: { description: 'It is so', schema: z.object({}), example: {} } },
          problems: [
            problems.invalidRequest,
            inferenceProblems.unknownModel,
            inferenceProblems.conflict,
            inferenceProblems.notLoaded,
            problems.unavailable,
          ],
        },
        async ({ path: { name }, body }, context) => {
          await readRepositoryRequest(body)
          await models.requireWrite(context.principal, name)
          await setLoaded(name, verb === 'load', actorOf(context))
          return { body: {} }
        },
      ),
    ),
    ...either.flatMap(({ path, pathParameters, of }) => [
      route(
        {
          ...reading,
          path,
          pathParameters: pathParameters as typeof aVersion,
          summary: `The tensors of ${of}`,
          description:
            'A tensor an input, with a row a row; or all of them as one, `features` [rows, columns].',
          answers: { 200: { description: 'Metadata', schema: metadata, example: metadataExample } },
          problems: [inferenceProblems.unknownModel, inferenceProblems.notLoaded],
        },
        async ({ path: asked }, { principal }) => {
          const { manifest } = await look(principal, asked)
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
          pathParameters: pathParameters as typeof aVersion,
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
          const { manifest } = await look(principal, asked)
          return { body: { name: manifest.name, ready: await isReady() } }
        },
      ),
      route(
        {
          ...reading,
          path: `${path}/stats`,
          pathParameters: pathParameters as typeof aVersion,
          summary: `Counts and times of ${of}`,
          answers: {
            200: {
              description: 'Since the start of this instance',
              schema: statistics,
              example: { model_stats: [] },
            },
          },
          problems: [inferenceProblems.unknownModel, inferenceProblems.notLoaded],
        },
        async ({ path: asked }, { principal }) => ({
          body: { model_stats: [statsOf(await look(principal, asked))] },
        }),
      ),
      route(
        {
          ...common,
          method: 'post',
          access: 'predict',
          body: 'stream',
          path: `${path}/infer`,
          pathParameters: pathParameters as typeof aVersion,
          summary: `Ask ${of}`,
          description:
            'JSON as the Open Inference Protocol has it, flat or nested; or JSON and the bytes of tensors behind it, with the header `Inference-Header-Content-Length`. In floats null is a missing value. A forecast takes `last_timestamp` [rows] or `timestamps` [rows, values] as `BYTES` too, and then answers `timestamps` [rows, steps].',
          answers: {
            200: { description: 'The outputs', schema: answer, example: answerExample },
          },
          streamed: {
            'application/json': { schema: inferRequestSchema, example: requestExample },
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
    ]),
  ]
}

/** As the protocol spells them. */
const PLATFORMS = { onnx: 'onnx_onnxv1', lightgbm: 'lightgbm', xgboost: 'xgboost' } as const
const READY = 'READY'

const loadedOf = ({ versions }: LiveModel) => [...versions.values()]

/** As Triton has it: what is not there is unavailable, and why. */
function indexOf({ name, versions, faults }: LiveModel) {
  const ready = Array.from(versions.keys(), (version) => ({ version, state: READY, reason: '' }))
  const failed = Array.from(faults.keys(), (version) => ({
    version,
    state: 'UNAVAILABLE',
    reason: 'it could not be loaded',
  }))
  const all = [...ready, ...failed]
  if (all.length === 0) return [{ name, version: '', state: 'UNAVAILABLE', reason: 'unloaded' }]
  return all
    .toSorted((a, b) => a.version - b.version)
    .map(({ version, ...rest }) => ({ name, version: String(version), ...rest }))
}

function render({ document, binary }: InferAnswer) {
  if (binary.length === 0) return { body: document }
  const json = Buffer.from(JSON.stringify(document))
  return new Response(Buffer.concat([json, ...binary]), {
    headers: {
      'content-type': 'application/octet-stream',
      [JSON_LENGTH]: String(json.byteLength),
    },
  })
}

function statsOf({ manifest, metrics }: ServedModel) {
  const stats: ModelStats = metrics.stats
  const batches = [...stats.batches].toSorted(([a], [b]) => a - b)
  return {
    name: manifest.name,
    version: manifest.version,
    last_inference: stats.lastInference,
    inference_count: stats.inferenceCount,
    execution_count: stats.executionCount,
    inference_stats: {
      success: stats.success,
      fail: stats.fail,
      queue: stats.queue,
      compute_input: NONE,
      compute_infer: stats.compute,
      compute_output: NONE,
      cache_hit: stats.cacheHit,
      cache_miss: stats.cacheMiss,
    },
    batch_stats: batches.map(([batch_size, compute_infer]) => ({
      batch_size,
      compute_input: NONE,
      compute_infer,
      compute_output: NONE,
    })),
  }
}

/** Not measured apart: encoding is part of the request. */
const NONE: Duration = { count: 0, ns: 0 }
