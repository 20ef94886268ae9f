import { z } from 'zod'

/** Types that a column may be said to be of. */
const NAMES =
  /^(?:BOOLEAN|TINYINT|SMALLINT|INTEGER|BIGINT|HUGEINT|UTINYINT|USMALLINT|UINTEGER|UBIGINT|FLOAT|DOUBLE|VARCHAR|DATE|TIME|TIMESTAMP|TIMESTAMP_S|TIMESTAMP_MS|TIMESTAMP_NS|TIMESTAMPTZ|TIMESTAMP WITH TIME ZONE|UUID|BLOB|INTERVAL|DECIMAL\((?:[1-9]|[12]\d|3[0-8]), ?(?:\d|[12]\d|3[0-8])\))(?:\[\]){0,2}$/

/** A type of DuckDB, in capitals or not. It becomes part of a statement, so it is one of these and nothing else. */
export const columnType = z
  .string()
  .max(60)
  .transform((text) => text.trim().toUpperCase())
  .refine((text) => NAMES.test(text), 'expected a type such as VARCHAR, BIGINT or DECIMAL(9,2)')
