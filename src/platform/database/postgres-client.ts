import type { SQL } from 'bun'

import { DatabaseSilent } from './database.ts'
import { isAnswer, Probes } from './probes.ts'

const TICK_MS = 200
/** That something was asked and nothing heard. Until then a request waits, so about a second. */
const SILENT_AFTER_TICKS = 5
/** What the answer of a server that gave a statement up by itself may take to get here. */
const ANSWER_MARGIN_MS = 1000
/** For statements on the other connections, when one of them is dead. */
const REPLACED_CLOSE_SECONDS = 1

/** Asked and not answered yet. */
interface Ask {
  client: SQL
  ticksMax: number
  /** Set when it has a connection: to wait for one is no fault of the server. */
  overdueAtTick: number | undefined
}

interface Listener {
  channel: string
  hear: () => void
  subscription: SQL.ListenSubscription | undefined
  /** Where the client that it listened on was replaced, and the next one does not listen yet. */
  isLost: boolean
}

/**
 * A client of Postgres that waits for no server for ever. TCP tells of a server that is gone, but
 * not of one that has fallen silent (frozen, or behind a network that drops everything): what was
 * sent to it is sent again for 15 minutes, and until then Bun waits and keeps the connection.
 *
 * When nothing at all is heard for a second, while something was asked and probes are under way, the
 * server counts as silent: what is in flight is rejected, what is new is too and at once, until a
 * probe is answered. A statement that is overdue while others are answered has a dead connection.
 * Both times the whole client is replaced, since Bun can't throw away one connection, and closing a
 * client rejects all that waits on it; a transaction among it is rejected too, whatever its work does
 * then, and its connection goes with it.
 *
 * One timer counts for all statements: one for each would be dearer, and to a process that itself
 * stood still for seconds it is one tick.
 */
export class PostgresClient {
  readonly #open: (connectionsMax: number) => SQL
  readonly #connectionsMax: number
  readonly #statementTicks: number
  readonly #transactionTicks: number
  readonly #asks = new Set<Ask>()
  readonly #listeners = new Set<Listener>()
  readonly #probes: Probes
  readonly #timer: Timer
  #client: SQL
  #tick = 0
  /** When something was heard, or there was nothing to hear. */
  #heardAtTick = 0
  #isSilent = false

  /**
   * @param options.open makes a client, which connects when it is used first.
   * @param options.idleTransactionTimeoutMs after which the server gives up a transaction in which nothing is asked.
   */
  constructor(options: {
    open: (connectionsMax: number) => SQL
    connectionsMax: number
    statementTimeoutMs: number
    idleTransactionTimeoutMs: number
  }) {
    const { open, statementTimeoutMs, idleTransactionTimeoutMs } = options
    const ticks = (ms: number) => Math.ceil((ms + ANSWER_MARGIN_MS) / TICK_MS)
    this.#open = open
    this.#connectionsMax = options.connectionsMax
    this.#statementTicks = ticks(statementTimeoutMs)
    this.#transactionTicks = ticks(statementTimeoutMs + idleTransactionTimeoutMs)
    this.#client = open(this.#connectionsMax)
    this.#probes = new Probes(
      () => open(1),
      () => this.#hear(),
    )
    this.#timer = setInterval(() => this.#watch(), TICK_MS)
    this.#timer.unref()
  }

  /** As Bun's. @throws {DatabaseSilent} at once while the server is silent. */
  unsafe(statement: string, values?: unknown[]): SQL.Query<object> {
    if (this.#isSilent) throw new DatabaseSilent()
    return this.#observed(this.#client, statement, values)
  }

  /** As Bun's, and the work gets of a transaction what drizzle uses of it. */
  async begin<T>(work: (tx: Pick<PostgresClient, 'unsafe'>) => Promise<T>): Promise<T> {
    if (this.#isSilent) throw new DatabaseSilent()
    const client = this.#client
    const ask = this.#ask(client, this.#transactionTicks)
    const result = client.begin((tx) =>
      work({
        unsafe: (statement, values) => {
          ask.overdueAtTick = this.#tick + this.#transactionTicks
          return this.#observed(tx, statement, values, client)
        },
      }),
    )
    this.#settle(ask, result)
    return result
  }

  /** Calls `hear` for each signal, and each time that signals may have been missed. */
  async listen(channel: string, hear: () => void): Promise<() => Promise<void>> {
    if (this.#isSilent) throw new DatabaseSilent()
    const listener: Listener = { channel, hear, subscription: undefined, isLost: false }
    await this.#subscribe(listener)
    this.#listeners.add(listener)
    return async () => {
      this.#listeners.delete(listener)
      const { subscription } = listener
      if (subscription === undefined) return
      // A client that was closed meanwhile listens to nothing.
      await this.#answered(subscription.unlisten()).catch(() => {})
    }
  }

  /** Waits for what is in flight, unless the server is silent. */
  async close(): Promise<void> {
    this.#listeners.clear()
    await this.#client.close()
    clearInterval(this.#timer)
    this.#probes.close()
    // Where it was replaced meanwhile.
    await this.#client.close({ timeout: 0 })
  }

  #observed(on: SQL, statement: string, values: unknown[] | undefined, client = on) {
    const query = on.unsafe(statement, values)
    this.#settle(this.#ask(client, this.#statementTicks), query)
    return query
  }

  #answered<T>(answer: Promise<T>): Promise<T> {
    this.#settle(this.#ask(this.#client, this.#statementTicks), answer)
    return answer
  }

  #ask(client: SQL, ticksMax: number): Ask {
    const ask = { client, ticksMax, overdueAtTick: undefined }
    this.#asks.add(ask)
    return ask
  }

  #settle(ask: Ask, answer: Promise<unknown>): void {
    // By `then` of its own a query of Bun would begin before drizzle has said what it wants of it.
    void Promise.prototype.then.call(
      answer,
      () => {
        this.#asks.delete(ask)
        this.#heardAtTick = this.#tick
      },
      (error: unknown) => {
        this.#asks.delete(ask)
        if (isAnswer(error)) this.#heardAtTick = this.#tick
      },
    )
  }

  #watch(): void {
    this.#tick += 1
    if (this.#isSilent) return this.#probes.send(this.#tick)
    if (this.#asks.size === 0) {
      this.#heardAtTick = this.#tick
      this.#probes.close()
    }
    const quietTicks = this.#tick - this.#heardAtTick
    if (quietTicks > SILENT_AFTER_TICKS) {
      this.#isSilent = true
      this.#replace(0)
    } else if (quietTicks > 1) {
      this.#probes.send(this.#tick)
    }
    if (this.#isOneOverdue()) this.#replace(REPLACED_CLOSE_SECONDS)
    for (const listener of this.#listeners) {
      if (listener.isLost && !this.#isSilent) void this.#listenAgain(listener)
    }
  }

  /** What was asked first has the connections. */
  #isOneOverdue(): boolean {
    let connections = 0
    for (const ask of this.#asks) {
      if (ask.client !== this.#client) continue
      connections += 1
      if (connections > this.#connectionsMax) return false
      ask.overdueAtTick ??= this.#tick + ask.ticksMax
      if (this.#tick >= ask.overdueAtTick) return true
    }
    return false
  }

  #hear(): void {
    this.#heardAtTick = this.#tick
    this.#isSilent = false
  }

  #replace(closeSeconds: number): void {
    const old = this.#client
    this.#client = this.#open(this.#connectionsMax)
    for (const listener of this.#listeners) listener.isLost = true
    void old.close({ timeout: closeSeconds })
  }

  async #subscribe(listener: Listener): Promise<void> {
    const { channel, hear } = listener
    listener.subscription = await this.#answered(this.#client.listen(channel, hear, hear))
  }

  async #listenAgain(listener: Listener): Promise<void> {
    listener.isLost = false
    try {
      await this.#subscribe(listener)
      // It stopped meanwhile, and could end only what it had before.
      if (!this.#listeners.has(listener)) await listener.subscription?.unlisten()
    } catch {
      listener.isLost = true
    }
  }
}
