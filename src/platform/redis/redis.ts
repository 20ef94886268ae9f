import { Redis as Client, type RedisOptions } from 'ioredis'
import { Gauge, type Registry } from 'prom-client'

import type { Log } from '../log.ts'

/** The longest that anyone waits for Redis. */
const COMMAND_TIMEOUT_MS = 500
const CONNECT_TIMEOUT_MS = 2_000
/** For how long a connection that is closed waits for the other end, and a process for it to end. */
const DISCONNECT_TIMEOUT_MS = 100
const RETRY_MS_MIN = 50
const RETRY_MS_MAX = 500
/** A Redis that refuses (no memory left, read only) refuses every request: a line a minute is enough. */
const REFUSAL_LINES_INTERVAL_MS = 60_000

/** What every connection is told. */
export const connectionOptions = {
  connectTimeout: CONNECT_TIMEOUT_MS,
  disconnectTimeout: DISCONNECT_TIMEOUT_MS,
  retryStrategy: (attempt) => Math.min(RETRY_MS_MAX, attempt * RETRY_MS_MIN),
  // Else a command that was under way when the connection broke would be sent again, and count twice.
  autoResendUnfulfilledCommands: false,
} satisfies RedisOptions

/**
 * What the connection for commands is told besides: to fail at once. By default ioredis queues
 * commands while Redis is away, and a request would wait for seconds.
 */
export const commandOptions = {
  ...connectionOptions,
  enableOfflineQueue: false,
  commandTimeout: COMMAND_TIMEOUT_MS,
  maxRetriesPerRequest: 0,
  enableAutoPipelining: true,
} satisfies RedisOptions

/**
 * Redis as a request sees it: it answers within half a second or it is away. A connection on which
 * it did not is given up, with all that waits there, and while another is made nobody waits for it;
 * an attempt at that takes up to a second.
 */
export interface Redis {
  /** Ask it only within `ask`. */
  readonly commands: Client
  /** Goes before every key and channel, so that several servers can share one Redis. */
  readonly prefix: string
  isUp(): boolean
  /**
   * @throws {RedisAway} at once while Redis is away, and after 500 ms where it does not answer.
   * @throws {ReplyError} when Redis answers that it will not.
   */
  ask<Reply>(question: () => Promise<Reply>): Promise<Reply>
  close(): Promise<void>
}

/** Redis does not answer. There are other ways to go on, so nobody sees this but the drivers. */
class RedisAway extends Error {
  override name = 'RedisAway'
}

/** Begins to connect, and goes on trying for as long as it takes. */
export function openRedis(options: {
  url: string
  prefix: string
  log: Log
  metrics: Registry
}): Redis {
  const { url, log } = options
  const commands = new Client(url, commandOptions)
  let state: 'connecting' | 'up' | 'away' | 'closed' = 'connecting'
  let awaySince = 0
  let nextRefusalLineAt = 0
  let lastError: unknown

  commands.on('error', (error: unknown) => {
    lastError = error
  })
  commands.on('close', () => goAway(lastError ?? 'it closed the connection'))
  commands.on('ready', () => {
    lastError = undefined
    if (state === 'away') {
      const duration = Math.round((performance.now() - awaySince) * 1e6)
      log.info({ 'event.duration': duration }, 'Redis is back')
    }
    state = 'up'
  })

  function goAway(reason: unknown): void {
    if (state === 'away' || state === 'closed') return
    state = 'away'
    awaySince = performance.now()
    log.warn({ error: reason }, 'Redis is away: limits, cache and bus are this process’s alone')
  }

  function fail(error: unknown): never {
    // Redis did answer: it is there, and others may fare better.
    if (error instanceof Error && error.name === 'ReplyError') {
      reportRefusal(error)
      throw error
    }
    if (state === 'up') {
      goAway(error)
      // Not in order, which would wait for the other end. ioredis then tells all who wait.
      commands.stream.destroy()
    }
    throw new RedisAway('Redis is away', { cause: error })
  }

  function reportRefusal(error: unknown): void {
    const now = performance.now()
    if (now < nextRefusalLineAt) return
    nextRefusalLineAt = now + REFUSAL_LINES_INTERVAL_MS
    log.warn({ error }, 'Redis refuses')
  }

  new Gauge({
    name: 'redis_up',
    help: 'Whether Redis answers.',
    registers: [options.metrics],
    collect() {
      this.set(state === 'up' ? 1 : 0)
    },
  })

  return {
    commands,
    prefix: `${options.prefix}:`,
    isUp: () => state === 'up',
    ask(question) {
      if (state !== 'up') return Promise.reject(new RedisAway('Redis is away'))
      return question().catch(fail)
    },
    async close() {
      state = 'closed'
      commands.disconnect()
    },
  }
}
