import { z } from 'zod'

const NAMES_MAX = 50
const TEXT_CHARACTERS_MAX = 10_000

/** Values that are bound to the `$name`s of a query: none of them ever becomes part of its text. */
export const parametersSchema = z
  .record(
    z.string().regex(/^[A-Za-z_][A-Za-z0-9_]{0,62}$/, 'expected a name such as least_revenue'),
    z.union([z.string().max(TEXT_CHARACTERS_MAX), z.number(), z.boolean(), z.null()]),
  )
  .refine((values) => Object.keys(values).length <= NAMES_MAX, `has more than ${NAMES_MAX} names`)

export type Parameters = z.output<typeof parametersSchema>
