import { z } from '@hono/zod-openapi'

/** R writes a scalar as an array of length one unless it is told not to. */
export const unboxed = (value: unknown) =>
  Array.isArray(value) && value.length === 1 ? (value[0] as unknown) : value

/** Where a scalar is meant, an array with just that scalar will do. */
export const scalar = <Schema extends z.ZodType>(schema: Schema) => z.preprocess(unboxed, schema)
