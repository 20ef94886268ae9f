import type { Kit } from '../database/columns.ts'

export const outboxTables = ({ table, column }: Kit) => ({
  /** Events that were committed and are not published yet. */
  outbox: table('outbox', {
    /** A UUIDv7: in the order in which they were added. */
    id: column.text().primaryKey(),
    /** The whole envelope. */
    event: column.json<unknown>().notNull(),
  }),

  /** One row: the process that publishes, until `leaseUntil`. */
  relays: table('outbox_relays', {
    name: column.text().primaryKey(),
    holder: column.text().notNull(),
    leaseUntil: column.timestamp().notNull(),
  }),
})
