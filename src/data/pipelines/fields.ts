import { z } from 'zod'

const NAME_CHARACTERS_MAX = 200
const NAMES_MAX = 2000
const EXPRESSIONS_MAX = 200

/** What steps have in common. */
export const columnName = z.string().min(1).max(NAME_CHARACTERS_MAX)

const several = <Schema extends z.ZodType>(schema: Schema, max: number, min = 1) =>
  z.union([schema.transform((one) => [one]), z.array(schema).min(min).max(max)])

export const columnNames = several(columnName, NAMES_MAX)
export const anyColumnNames = several(columnName, NAMES_MAX, 0)

/** An expression of DuckDB, or one with the habits of R. */
export const expressionText = z.string().min(1)

/** `name = expression`, several of them, or an object of them. */
export const assignments = z.union([
  several(expressionText, EXPRESSIONS_MAX),
  z
    .record(columnName, expressionText)
    .refine((each) => Object.keys(each).length > 0, 'has no expression'),
])

/** `day` goes up, `-day` down. */
export const sortKeys = several(
  z.union([
    columnName,
    z.strictObject({
      column: columnName,
      descending: z.boolean().default(false),
      nulls: z.enum(['first', 'last']).default('last'),
    }),
  ]),
  NAMES_MAX,
)

export const literal = z.union([z.string().max(10_000), z.number(), z.boolean()])
