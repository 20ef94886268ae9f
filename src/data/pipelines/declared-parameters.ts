import { z } from 'zod'

import { type Fault, invalid } from '../../gateway/problems.ts'
import { columnType } from '../datasets/column-type.ts'
import type { Parameters } from '../results/parameters.ts'

const NAMES_MAX = 50
const TEXT_CHARACTERS_MAX = 10_000

/** Names that have a meaning of their own where parameters are given. */
const RESERVED = new Set(['format', 'watermark'])

const value = z.union([z.string().max(TEXT_CHARACTERS_MAX), z.number(), z.boolean(), z.null()])

/** The `$name`s of a saved pipeline, each with its type. One without a default must be given. */
export const declaredParametersSchema = z
  .record(
    z
      .string()
      .regex(/^[A-Za-z_][A-Za-z0-9_]{0,62}$/, 'expected a name such as least_revenue')
      .refine((name) => !RESERVED.has(name.toLowerCase()), 'has a meaning of its own'),
    z.strictObject({
      type: columnType.meta({ example: 'DATE' }),
      default: value.optional(),
      description: z.string().max(500).optional(),
    }),
  )
  .refine((names) => Object.keys(names).length <= NAMES_MAX, `has more than ${NAMES_MAX} names`)

export type DeclaredParameters = z.output<typeof declaredParametersSchema>

/** Values for them: in JSON of their own type, in an address as text. */
export const givenParametersSchema = z.record(z.string(), value)

/**
 * The values that a run has.
 *
 * @throws {Problem} 422 for one that is lacking, and one that nobody declared.
 */
export function parametersOf(
  declared: DeclaredParameters,
  given: z.output<typeof givenParametersSchema>,
  path: readonly PropertyKey[],
): Parameters {
  const faults: Fault[] = Object.keys(given)
    .filter((name) => !Object.hasOwn(declared, name))
    .map((name) => ({ path: [...path, name], detail: 'is no parameter' }))
  const parameters: Parameters = {}
  for (const [name, { type, default: fallback }] of Object.entries(declared)) {
    const found = Object.hasOwn(given, name) ? given[name] : fallback
    if (found === undefined) faults.push({ path: [...path, name], detail: 'is needed' })
    else parameters[name] = { value: found, type }
  }
  if (faults.length > 0) throw invalid(faults)
  return parameters
}
