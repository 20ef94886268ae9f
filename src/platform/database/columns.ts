import { sql } from 'drizzle-orm'
import * as pg from 'drizzle-orm/pg-core'
import * as sqlite from 'drizzle-orm/sqlite-core'

/** drizzle's own `jsonb` on Bun's client stores a JSON string, and reads it back as if all were well. */
const json = pg.customType<{ data: unknown; driverData: unknown }>({
  dataType: () => 'jsonb',
  toDriver: (value) => sql`${JSON.stringify(value)}::text::jsonb`,
})

/**
 * The column kinds that mean the same in both databases. The Postgres builders are *the* types: a
 * table is declared once against them, and the SQLite kit is cast to them here, once.
 */
const postgresColumns = {
  text: () => pg.text(),
  // Not `integer`, which ends at 2³¹: SQLite's holds every safe integer.
  integer: () => pg.bigint({ mode: 'number' }),
  real: () => pg.doublePrecision(),
  boolean: () => pg.boolean(),
  timestamp: () => pg.timestamp({ withTimezone: true, precision: 3, mode: 'date' }),
  json: <T>() => json().$type<T>(),
}
type Columns = typeof postgresColumns

/** What a feature's `tables.ts` declares its tables with. */
export interface Kit {
  table: typeof pg.pgTable
  column: Columns
  index: typeof pg.index
  uniqueIndex: typeof pg.uniqueIndex
}

export const postgresKit: Kit = {
  table: pg.pgTable,
  column: postgresColumns,
  index: pg.index,
  uniqueIndex: pg.uniqueIndex,
}

export const sqliteKit = {
  table: sqlite.sqliteTable,
  column: {
    text: () => sqlite.text(),
    integer: () => sqlite.integer(),
    real: () => sqlite.real(),
    boolean: () => sqlite.integer({ mode: 'boolean' }),
    timestamp: () => sqlite.integer({ mode: 'timestamp_ms' }),
    json: () => sqlite.text({ mode: 'json' }),
  },
  index: sqlite.index,
  uniqueIndex: sqlite.uniqueIndex,
} as unknown as Kit
