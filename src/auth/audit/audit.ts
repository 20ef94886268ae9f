import { and, desc, eq, gte, lt, or, sql } from 'drizzle-orm'

import type { Events } from '../../events.ts'
import type { Actor } from '../../gateway/principal.ts'
import { type Clock, isoTime } from '../../platform/clock.ts'
import type { Database, Writes } from '../../platform/database/database.ts'
import type { Outbox } from '../../platform/outbox/outbox.ts'
import type { AuthTables } from '../tables.ts'

/** What is told of, in the audit and on the bus by one name. */
type Act = keyof Events & `auth.${string}`
/** What an act carries, beside who did it and when. */
type Details<Type extends Act> = Omit<Events[Type], 'actor_id' | 'time'>
type Outcome = 'success' | 'failure'
export type AuditEntry = AuthTables['audit']['$inferSelect']

/** Acts by which somebody was refused. All others succeeded. */
const FAILURES: ReadonlySet<Act> = new Set([
  'auth.login_failed',
  'auth.refresh_reused',
  'auth.reauthentication_failed',
  'auth.ticket_refused',
  'auth.mail_refused',
  'auth.client_refused',
  'auth.access_refused',
])

/** Triggers refuse to remove what is no older than this, counted from the newest entry. */
const KEPT_MS = 86_400_000

/**
 * Who did what to whom, from where, and whether it went well. Entries are added and never changed, by
 * no statement; they are forgotten once they are old, those of the last day that has any never.
 */
export interface Audit {
  /** Within the write of the act: the entry and the event of the same name are committed with it. */
  record<Type extends Act>(
    tx: Writes,
    actor: Actor,
    type: Type,
    details: Details<Type>,
  ): Promise<void>
  /** The newest first. */
  list(filter: AuditFilter): Promise<AuditEntry[]>
  removeExpired(): Promise<void>
}

interface AuditFilter {
  type?: string | undefined
  /** Who did it, or to whom it was done. */
  principalId?: string | undefined
  outcome?: Outcome | undefined
  since?: Date | undefined
  until?: Date | undefined
  /** Those before this entry. */
  before?: string | undefined
  limit: number
}

export function createAudit(deps: {
  database: Database
  tables: AuthTables
  outbox: Outbox<Events>
  clock: Clock
  /** How long an entry is kept. */
  ttlSeconds: number
}): Audit {
  const { database, outbox, clock } = deps
  const { audit, accounts, serviceAccounts } = deps.tables

  /** In the same statement: to look it up before would be another way to the database for each act. */
  const nameOf = ({ kind, id, lastName }: Subject) => {
    const [table, name] =
      kind === 'user' ? [accounts, accounts.username] : [serviceAccounts, serviceAccounts.name]
    const found = sql`(select ${name} from ${table} where ${table.id} = ${id})`
    return sql<string>`coalesce(${found}, ${lastName ?? null})`
  }

  return {
    async record(tx, actor, type, details) {
      const now = clock.now()
      const subject = subjectOf(details)
      await tx.insert(audit).values({
        id: Bun.randomUUIDv7(),
        type,
        time: new Date(now),
        actorKind: actor.kind,
        actorId: actor.id,
        actorName: actor.name,
        subjectId: subject?.id ?? null,
        subjectName: subject === undefined ? null : nameOf(subject),
        address: actor.address,
        outcome: FAILURES.has(type) ? 'failure' : 'success',
        details,
      })
      const data = { ...details, actor_id: actor.id, time: isoTime(now) }
      // What is left out of an event's type is put back, which the compiler can't see.
      await outbox.add(tx, type, data as unknown as Events[typeof type])
    },
    async list({ type, principalId, outcome, since, until, before, limit }) {
      const given = <T, Condition>(value: T | undefined, condition: (value: T) => Condition) =>
        value === undefined ? undefined : condition(value)
      return database.read
        .select()
        .from(audit)
        .where(
          and(
            given(type, (value) => eq(audit.type, value)),
            given(principalId, (id) => or(eq(audit.actorId, id), eq(audit.subjectId, id))),
            given(outcome, (value) => eq(audit.outcome, value)),
            given(since, (time) => gte(audit.time, time)),
            given(until, (time) => lt(audit.time, time)),
            given(before, (id) => lt(audit.id, id)),
          ),
        )
        .orderBy(desc(audit.id))
        .limit(limit)
    },
    async removeExpired() {
      const end = clock.now() - deps.ttlSeconds * 1000
      await database.write(async (tx) => {
        const [newest] = await tx
          .select({ time: audit.time })
          .from(audit)
          .orderBy(desc(audit.id))
          .limit(1)
        if (newest === undefined) return
        // What the database lets go: it knows no clock but that of the entries.
        const kept = newest.time.getTime() - KEPT_MS
        await tx.delete(audit).where(lt(audit.time, new Date(Math.min(end, kept))))
      })
    },
  }
}

interface Subject {
  kind: 'user' | 'service_account'
  id: string
  /** Of who is gone by now. */
  lastName: string | undefined
}

/** To whom it was done: a person, or a program. */
function subjectOf(details: {
  user_id?: string | null
  username?: string
  service_account_id?: string | null
  name?: string
}): Subject | undefined {
  const { user_id: user, service_account_id: serviceAccount } = details
  if (typeof user === 'string') return { kind: 'user', id: user, lastName: details.username }
  if (typeof serviceAccount !== 'string') return undefined
  return { kind: 'service_account', id: serviceAccount, lastName: details.name }
}
