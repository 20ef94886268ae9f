import { z } from 'zod'

import type { Parameters } from '../results/parameters.ts'

const NAMES_MAX = 50
const TEXT_CHARACTERS_MAX = 10_000

/** Values that are bound to the `$name`s of a query: none of them ever becomes part of its text. */
export const parametersSchema = z
  .record(
    z.string().regex(/^[A-Za-z_][A-Za-z0-9_]{0,62}$/, 'expected a name such as least_revenue'),
    z.union([z.string().max(TEXT_CHARACTERS_MAX), z.number(), z.boolean(), z.null()]),
  )
  .refine((values) => Object.keys(values).length <= NAMES_MAX, `has more than ${NAMES_MAX} names`)

/** As they came, each of the type of its value. */
export const boundAs = (values: z.output<typeof parametersSchema>): Parameters =>
  Object.fromEntries(Object.entries(values).map(([name, value]) => [name, { value }]))

/** By the name of a dataset. */
export const versionsSchema = z
  .record(z.string(), z.int().min(1))
  .default({})
  .meta({ description: 'Of datasets that are not to be read as they are now' })
