import { z } from '@hono/zod-openapi'

/** R writes a scalar as an array of length one unless it is told not to, and NULL as `{}`. */
export function unboxed(value: unknown): unknown {
  if (Array.isArray(value)) return value.length === 1 ? (value[0] as unknown) : value
  return isEmptyRecord(value) ? null : value
}

const isEmptyRecord = (value: unknown) =>
  typeof value === 'object' && value !== null && Object.keys(value).length === 0

/** Where a scalar is meant, an array with just that scalar will do. */
export const scalar = <Schema extends z.ZodType>(schema: Schema) => z.preprocess(unboxed, schema)
