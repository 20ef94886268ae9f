import { z } from '@hono/zod-openapi'

import { TIME_NAMES } from './forecasts/forecast-times.ts'
import { FREQUENCY } from './forecasts/step.ts'

/** What every object has by birth: a row without such a member would seem to have it. */
const isNoBirthName = (name: string) => !(name in Object.prototype)
const BIRTH_NAME = 'expected a name that no object has by birth, such as constructor'

const described = {
  name: z.string().min(1).refine(isNoBirthName, BIRTH_NAME),
  description: z.string().optional(),
}

const input = z.discriminatedUnion('type', [
  z.strictObject({
    ...described,
    type: z.literal('number'),
    integer: z
      .boolean()
      .optional()
      .meta({ description: 'Whether only whole numbers go in, and none may be missing' }),
  }),
  z.strictObject({
    ...described,
    type: z.literal('category'),
    categories: z.array(z.string()).min(1).refine(differ, 'expected categories that differ'),
    codes: z.array(z.number()).optional().meta({
      description:
        'What stands for each category in the model; unless given 0, 1, … in their order',
    }),
  }),
  z.strictObject({
    ...described,
    type: z.literal('series'),
    length: z
      .int()
      .min(1)
      .max(100_000)
      .meta({ description: 'How many of its last values the model sees' }),
  }),
])

export const modelName = z
  .string()
  .regex(
    /^[a-z0-9][a-z0-9_-]{0,63}$/,
    'expected up to 64 lower-case letters, digits, - and _, a letter or digit first',
  )

const common = {
  name: modelName,
  version: z.string().regex(/^[0-9A-Za-z][\w.-]{0,31}$/),
  title: z.string(),
  description: z.string(),
  file: z.string().regex(/^[\w.-]+$/, 'expected the name of a file beside the manifest'),
  inputs: z.array(input).min(1).max(10_000),
  outputs: z
    .array(z.strictObject({ ...described, type: z.enum(['number', 'category', 'series']) }))
    .min(1),
  training_data: z
    .strictObject({
      name: z.string(),
      source: z.string().optional(),
      rows: z.int().min(1).optional(),
      licence: z.string().optional(),
    })
    .optional(),
  metrics: z.record(z.string(), z.number()).meta({ description: 'On held-out data' }),
  licence: z.string().optional(),
  cache: z.boolean().meta({ description: 'Whether predictions are remembered' }),
  max_batch_rows: z.int().min(1).max(100_000).optional().meta({
    description: 'Rows that go to the model in one call; as the server is set unless given',
  }),
  example: z
    .record(z.string(), z.unknown())
    .optional()
    .meta({ description: 'One row, as a caller sends it' }),
}

/** What a row may have beside the inputs of a forecast. */
export const FORECAST_NAMES: ReadonlySet<string> = new Set(['horizon', ...TIME_NAMES])

/**
 * What a model is: `models/<name>/<version>/manifest.json`.
 *
 * The model file takes one tensor `[rows, width]`, or one an input where it is ONNX, and returns one
 * tensor `[rows, values]`. `width` counts the inputs in their order, a series with its `length`,
 * right-aligned; a category arrives as its code, or as its text where the model takes such, what is
 * missing as NaN or as no text. `values` are the probabilities of `classes`, or a number an output, or
 * `horizon.max` numbers, behind which for each of `intervals` stand as many lower and as many upper bounds.
 */
export const manifestSchema = z
  .discriminatedUnion('kind', [
    z.strictObject({
      kind: z.literal('classification'),
      ...common,
      classes: z
        .array(z.string().refine(isNoBirthName, BIRTH_NAME))
        .min(2)
        .refine(differ, 'expected classes that differ'),
    }),
    z.strictObject({ kind: z.literal('regression'), ...common }),
    z.strictObject({
      kind: z.literal('forecast'),
      ...common,
      horizon: z
        .strictObject({ default: z.int().min(1), max: z.int().min(1).max(10_000) })
        .refine((horizon) => horizon.default <= horizon.max, 'expected a default up to max'),
      frequency: z
        .string()
        .regex(FREQUENCY, 'expected a unit of time such as month, or several such as 30 minutes')
        .optional()
        .meta({ description: 'Between two values, for rows that only say when they end' }),
      intervals: z
        .array(z.number().gt(0).lt(1))
        .min(1)
        .max(100)
        .refine(ascend, 'expected levels that ascend')
        .optional()
        .meta({ description: 'How probably a value lies within its bounds' }),
    }),
  ])
  .refine(({ inputs }) => differ(inputs.map(({ name }) => name)), {
    path: ['inputs'],
    message: 'expected names that differ',
  })
  .refine((manifest) => manifest.kind !== 'forecast' || hasOneSeries(manifest), {
    path: ['inputs'],
    message: `expected one series for a forecast, and no input named ${[...FORECAST_NAMES].map((name) => `"${name}"`).join(', ')}`,
  })
  .refine(({ kind, outputs }) => kind !== 'forecast' || outputs.every(isOwnName), {
    path: ['outputs'],
    message: 'expected no output of a forecast named "timestamps" or "intervals"',
  })
  .superRefine(({ inputs }, context) => {
    for (const [index, input] of inputs.entries()) {
      if (input.type !== 'category' || input.codes === undefined) continue
      if (input.codes.length === input.categories.length) continue
      const message = `expected ${input.categories.length} codes, one a category`
      context.addIssue({ code: 'custom', path: ['inputs', index, 'codes'], message })
    }
  })

export type Manifest = z.output<typeof manifestSchema>
export type ForecastManifest = Extract<Manifest, { kind: 'forecast' }>
export type ModelInput = Manifest['inputs'][number]

function differ(names: readonly string[]): boolean {
  return new Set(names).size === names.length
}

function ascend(levels: readonly number[]): boolean {
  return levels.every((level, at) => at === 0 || level > levels[at - 1]!)
}

const isOwnName = ({ name }: { name: string }) => name !== 'timestamps' && name !== 'intervals'

const hasOneSeries = ({ inputs }: { inputs: { type: string; name: string }[] }) =>
  inputs.filter(({ type }) => type === 'series').length === 1 &&
  inputs.every(({ name }) => !FORECAST_NAMES.has(name))

/** Columns that an input takes in the model's tensor. */
export const widthOf = (input: ModelInput) => (input.type === 'series' ? input.length : 1)

/** Columns of the model's input tensor. */
export const inputWidth = ({ inputs }: Manifest) =>
  inputs.reduce((width, input) => width + widthOf(input), 0)

/** Columns of the model's output tensor. */
export function outputWidth(manifest: Manifest): number {
  switch (manifest.kind) {
    case 'classification':
      return manifest.classes.length
    case 'regression':
      return manifest.outputs.length
    case 'forecast':
      return manifest.horizon.max * (1 + 2 * (manifest.intervals?.length ?? 0))
  }
}

/** Whose form a model file has. */
export const formats = ['onnx', 'lightgbm', 'xgboost'] as const

export function formatOf({ file }: Manifest): (typeof formats)[number] {
  if (file.endsWith('.onnx')) return 'onnx'
  return file.endsWith('.txt') ? 'lightgbm' : 'xgboost'
}
