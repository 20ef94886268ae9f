import { asc, count, eq, inArray, lt, or } from 'drizzle-orm'
import { Gauge, type Registry } from 'prom-client'

import type { Bus, EventOf } from '../bus/bus.ts'
import { envelop } from '../bus/envelope.ts'
import type { Clock } from '../clock.ts'
import type { Database, Writes } from '../database/database.ts'
import type { Log } from '../log.ts'
import { outboxTables } from './tables.ts'

const CHANNEL = 'outbox'
const RELAY = 'outbox'
const BATCH_EVENTS = 100
const LEASE_MS = 10_000
/** Then it is prolonged: what is published after its end, another process publishes too. */
const HOLD_MS = LEASE_MS / 2

/**
 * Events that can't get lost: one is written in the transaction of the change that it tells of, and
 * published after the commit, by whichever process holds the relay. At least once, in the order in
 * which they were added, by the clocks of their processes, each time with the same id. Of two writes at
 * once the one that adds first may commit last: who needs the order of commits reads the rows.
 */
export interface Outbox<Vocabulary> {
  /** Within a write: the event happens if the change does. */
  add<Type extends keyof Vocabulary & string>(
    tx: Writes,
    type: Type,
    data: Vocabulary[Type],
  ): Promise<void>
  start(): Promise<void>
  stop(): Promise<void>
}

export function createOutbox<Vocabulary>(deps: {
  database: Database
  bus: Bus<Vocabulary>
  source: string
  clock: Clock
  log: Log
  metrics: Registry
  /** How often to look for what no signal told of, and to try again what failed. */
  pollMs: number
}): Outbox<Vocabulary> {
  const { database, bus, clock, log, pollMs } = deps
  const { outbox, relays } = outboxTables(database.kit)
  const holder = Bun.randomUUIDv7()
  const stopping = new AbortController()
  let relaying: Promise<void> | undefined
  let isWoken = false
  let isStuck = false
  let stopListening: (() => Promise<void>) | undefined
  let timer: Timer | undefined

  const pending = new Gauge({
    name: 'outbox_events',
    help: 'Events that are committed and not published yet.',
    registers: [deps.metrics],
    async collect() {
      // A scrape is answered also while the database is away.
      pending.set(await countPending().catch(() => Number.NaN))
    },
  })

  async function countPending(): Promise<number> {
    const [row] = await database.read.select({ n: count() }).from(outbox)
    return row?.n ?? 0
  }

  /** One process at a time, or the order would be lost. */
  function holdRelay(): Promise<boolean> {
    const now = new Date(clock.now())
    const leaseUntil = new Date(clock.now() + LEASE_MS)
    return database.write(async (tx) => {
      const inserted = await tx
        .insert(relays)
        .values({ name: RELAY, holder, leaseUntil })
        .onConflictDoNothing({ target: relays.name })
        .returning({ name: relays.name })
      if (inserted.length > 0) return true
      const taken = await tx
        .update(relays)
        .set({ holder, leaseUntil })
        .where(or(eq(relays.holder, holder), lt(relays.leaseUntil, now)))
        .returning({ name: relays.name })
      return taken.length > 0
    })
  }

  async function nextEvents(limit: number) {
    return database.read.select().from(outbox).orderBy(asc(outbox.id)).limit(limit)
  }

  async function relay(): Promise<void> {
    while (isWoken && !stopping.signal.aborted) {
      isWoken = false
      if ((await nextEvents(1)).length === 0 || !(await holdRelay())) return
      // Read while the relay is held: before, another process may have published them.
      const events = await nextEvents(BATCH_EVENTS)
      const published = await publish(events)
      if (events.length === BATCH_EVENTS || published < events.length) isWoken = true
    }
  }

  /** @returns how many, which is all of them unless the lease draws to its end or the process to its. */
  async function publish(rows: { id: string; event: unknown }[]): Promise<number> {
    const heldUntil = clock.now() + HOLD_MS
    const published: string[] = []
    try {
      for (const { id, event } of rows) {
        if (stopping.signal.aborted || clock.now() > heldUntil) break
        await bus.forward(event as EventOf<Vocabulary>)
        published.push(id)
      }
    } finally {
      if (published.length > 0) {
        await database.write(async (tx) => {
          await tx.delete(outbox).where(inArray(outbox.id, published))
        })
      }
    }
    return published.length
  }

  /** So that another need not wait for the end of the lease. */
  function releaseRelay(): Promise<void> {
    return database.write(async (tx) => {
      const released = await tx
        .delete(relays)
        .where(eq(relays.holder, holder))
        .returning({ name: relays.name })
      if (released.length > 0) await database.signal(tx, CHANNEL)
    })
  }

  /** What fails is left to the next poll, and said once. */
  async function relayOrSay(): Promise<void> {
    try {
      await relay()
      isStuck = false
    } catch (error) {
      if (!isStuck) log.warn({ error }, 'events wait in the outbox')
      isStuck = true
    }
    relaying = undefined
    if (isWoken && !isStuck) wake()
  }

  function wake(): void {
    isWoken = true
    if (!stopping.signal.aborted) relaying ??= relayOrSay()
  }

  return {
    async add(tx, type, data) {
      const event = envelop<Vocabulary, typeof type>(deps, type, data)
      await tx.insert(outbox).values({ id: event.id, event })
      await database.signal(tx, CHANNEL)
    },
    async start() {
      stopListening = await database.listen(CHANNEL, wake)
      timer = setInterval(wake, pollMs)
      timer.unref()
      wake()
    },
    async stop() {
      stopping.abort()
      clearInterval(timer)
      await stopListening?.()
      await relaying
      // Where the database is away the lease ends by itself.
      await releaseRelay().catch(() => {})
    },
  }
}
