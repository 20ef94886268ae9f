import { z } from '@hono/zod-openapi'

import { isIdentity } from '../gateway/principal.ts'
import { problems } from '../gateway/problems.ts'
import { type Route, route } from '../gateway/route.ts'
import { scalar } from '../gateway/scalar.ts'
import { type Clock, isoTime } from '../platform/clock.ts'
import type { BatchJobs } from './batch-jobs.ts'
import type { Features } from './features.ts'
import type { Predictions } from './predictions.ts'
import { inferenceProblems } from './problems.ts'

/** Checked in depth against the model's own inputs; a schema of every cell would cost more than the model. */
const features = (
  z
    .unknown()
    .refine(
      (value) => typeof value === 'object' && value !== null,
      'expected columns or rows',
    ) as unknown as z.ZodType<Features>
)
  .openapi({
    oneOf: [
      {
        type: 'object',
        description: 'By column: a list of values for each input',
        additionalProperties: {},
      },
      { type: 'array', description: 'By row: an object for each row', items: { type: 'object' } },
    ],
    description:
      'By column or by row. null is a missing value, and so is an absent key of a row. Categories go by name. A forecast takes `horizon` beside its inputs, how many steps; and either `last_timestamp`, when its history ends, or `timestamps`, a list as long as the history, evenly spaced: ISO 8601 such as `2026-01-31` or `2026-01-31T12:00:00Z`, UTC unless said, or seconds or milliseconds since 1970.',
  })
  .openapi('Features')

const request = z.strictObject({
  model_type: scalar(z.string()).openapi({ description: "The model's name" }),
  features,
  model_version: scalar(z.union([z.string(), z.int().transform(String)]))
    .optional()
    .openapi({ description: 'By its number; whichever traffic leads to unless given' }),
  explain: scalar(z.boolean()).optional().openapi({
    description:
      'Also answer what each input adds to the sum that the model makes its answer of, of each row (TreeSHAP). Of trees only.',
  }),
})

const steps = z.array(z.number().nullable())
const interval = z.object({
  level: z.number().openapi({ description: 'How probably the truth lies within its bounds' }),
  lower: steps,
  upper: steps,
})
const value = z.union([z.string(), z.number(), steps]).nullable()
const prediction = z.object({
  predictions: z.array(value).openapi({
    description:
      'One a row: the label of a classification, the number of a regression, an array over the horizon of a forecast',
  }),
  probabilities: z.array(z.record(z.string(), z.number())).optional(),
  timestamps: z.array(z.array(z.iso.datetime()).nullable()).optional().openapi({
    description:
      'Of a forecast, where `last_timestamp` or `timestamps` tells of times: for each row the time of each step, null for a row that does not tell',
  }),
  intervals: z.array(z.array(interval)).optional().openapi({
    description: 'Of a forecast whose model has them: for each row its intervals, over its horizon',
  }),
  explanations: z
    .array(
      z.array(
        z.object({
          class: z.string().optional(),
          expected: z.number(),
          contributions: z.record(z.string(), z.number()),
        }),
      ),
    )
    .optional()
    .openapi({
      description:
        'Where `explain` asks for it, for each row: of a number one, of two classes one for the second, of more one a class. With `expected`, the sum on average over the training data, the contributions sum to what the model says before it becomes a probability: log-odds of two classes, the logarithm of a count',
    }),
  model_version: z.string(),
  timestamp: z.iso.datetime(),
})

/** Refused by its length before its items are looked at: 300,000 of them take half a second. */
const batchRequest = (batchesMax: number) =>
  z.strictObject({
    batch_id: scalar(z.union([z.string(), z.number()]).nullish()),
    batches: z.preprocess((value, context) => {
      if (!Array.isArray(value) || value.length <= batchesMax) return value
      const message = `has ${value.length} batches, at most ${batchesMax} go in one request`
      context.addIssue({ code: 'custom', message })
      return z.NEVER
    }, z.array(request)),
  })
const batchPrediction = z.object({
  batch_id: z.union([z.string(), z.number()]).nullable(),
  results: z.array(prediction),
  processed_at: z.iso.datetime(),
})

const penguin = {
  bill_length_mm: [39.1, 46.5],
  bill_depth_mm: [18.7, 14.8],
  flipper_length_mm: [181, 217],
  body_mass_g: [3750, 5200],
  island: ['Torgersen', 'Biscoe'],
  sex: ['male', null],
}
const penguinPrediction = {
  predictions: ['Adelie', 'Gentoo'],
  probabilities: [
    { Adelie: 0.98, Chinstrap: 0.01, Gentoo: 0.01 },
    { Adelie: 0.01, Chinstrap: 0.01, Gentoo: 0.98 },
  ],
  model_version: '1',
  timestamp: '2026-01-02T03:04:05.678Z',
}

const carbonDioxide = {
  history: [
    370.18, 371.32, 372.06, 372.78, 373.8, 373.06, 371.3, 369.42, 367.88, 368.05, 369.38, 371.02,
  ],
  last_timestamp: '2001-12-01',
  horizon: 2,
}
const carbonDioxidePrediction = {
  predictions: [[371.93, 372.68]],
  timestamps: [['2002-01-01T00:00:00.000Z', '2002-02-01T00:00:00.000Z']],
  intervals: [
    [
      { level: 0.8, lower: [371.56, 372.25], upper: [372.42, 373.41] },
      { level: 0.95, lower: [371.36, 371.9], upper: [372.83, 373.9] },
    ],
  ],
  model_version: '1',
  timestamp: '2026-01-02T03:04:05.678Z',
}

const RESPOND_ASYNC = /(^|,)\s*respond-async\s*($|[,;])/i

const failures = [
  inferenceProblems.unknownModel,
  inferenceProblems.notLoaded,
  inferenceProblems.overloaded,
  inferenceProblems.unavailable,
  inferenceProblems.runTimeout,
]

export function predictionRoutes(deps: {
  predictions: Predictions
  batchJobs: BatchJobs
  batchesMax: number
  clock: Clock
}): Route[] {
  const { predictions, batchJobs, batchesMax, clock } = deps
  const now = () => isoTime(clock.now())
  return [
    route(
      {
        method: 'post',
        path: '/api/v1/predict',
        access: 'predict',
        tag: 'predictions',
        summary: 'Predict',
        body: { schema: request, example: { model_type: 'classification', features: penguin } },
        answers: {
          200: {
            description: 'One prediction a row',
            schema: prediction,
            example: penguinPrediction,
          },
        },
        problems: failures,
      },
      async ({ body }, context) => {
        const prediction = await predictions.predict(body, context.principal, () =>
          context.isAbandoned(),
        )
        return { body: { ...prediction, timestamp: now() } }
      },
    ),

    route(
      {
        method: 'post',
        path: '/api/v1/predict/batch',
        access: 'predict',
        tag: 'predictions',
        summary: 'Predict several batches',
        description:
          'One result a batch, in order. When one does not fit its model, none is computed. With the ' +
          'header `Prefer: respond-async` (RFC 7240) who is signed in and may see their jobs, which ' +
          'takes the scope `jobs:read`, gets one instead, whose result is this answer as a file.',
        body: {
          schema: batchRequest(batchesMax),
          example: {
            batch_id: 'b-1',
            batches: [
              { model_type: 'classification', features: penguin },
              { model_type: 'forecast', features: [carbonDioxide] },
            ],
          },
        },
        answers: {
          200: {
            description: 'One result a batch',
            schema: batchPrediction,
            example: {
              batch_id: 'b-1',
              results: [penguinPrediction, carbonDioxidePrediction],
              processed_at: '2026-01-02T03:04:05.678Z',
            },
          },
          202: {
            description: 'A job was taken in; `Location` leads to it',
            schema: z.object({ id: z.string(), state: z.literal('ready') }),
            example: { id: '0198c5a2-7d31-7c9e-9f1b-2f6a1f0c8e11', state: 'ready' },
          },
        },
        problems: [...failures, problems.tooManyRequests, problems.unavailable],
      },
      async ({ body }, context) => {
        const batchId = body.batch_id ?? null
        const { principal, request } = context
        const isPatient = RESPOND_ASYNC.test(request.headers.get('prefer') ?? '')
        // Who could not see the job would never get its result.
        if (isPatient && isIdentity(principal) && principal.scopes.has('jobs:read')) {
          const order = { batchId, requests: body.batches }
          const id = await batchJobs.enqueue(order, principal)
          const location = `/api/v1/jobs/${id}`
          const headers = { location, 'preference-applied': 'respond-async' }
          return { status: 202, body: { id, state: 'ready' }, headers }
        }
        const computed = await predictions.predictBatch(body.batches, principal, () =>
          context.isAbandoned(),
        )
        const timestamp = now()
        const results = computed.map((prediction) => ({ ...prediction, timestamp }))
        return { body: { batch_id: batchId, results, processed_at: timestamp } }
      },
    ),
  ]
}
