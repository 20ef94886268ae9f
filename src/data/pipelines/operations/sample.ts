import { z } from 'zod'

import { defineOperation } from '../operation.ts'

const ROWS_MAX = 10_000_000
const SEED_MAX = 2 ** 31 - 1

/** Some rows by chance: so many, or each with a probability. */
export const sample = defineOperation({
  schema: z
    .strictObject({
      type: z.literal('sample'),
      rows: z.int().min(1).max(ROWS_MAX).optional(),
      share: z.number().gt(0).max(1).optional(),
      seed: z.int().min(0).max(SEED_MAX).optional(),
    })
    .refine(
      ({ rows, share }) => (rows === undefined) !== (share === undefined),
      'expected rows, or share',
    ),
  plan({ rows, share, seed }, { columns }) {
    const size =
      rows === undefined ? `bernoulli(${share! * 100} PERCENT)` : `reservoir(${rows} ROWS)`
    const repeated = seed === undefined ? '' : ` REPEATABLE (${seed})`
    return { sql: (input) => `SELECT * FROM ${input} USING SAMPLE ${size}${repeated}`, columns }
  },
})
