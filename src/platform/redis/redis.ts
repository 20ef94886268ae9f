import { Redis as Client, type RedisOptions } from 'ioredis'
import { Gauge, type Registry } from 'prom-client'

import type { Log } from '../log.ts'

/** The longest that anyone waits for Redis. */
const COMMAND_TIMEOUT_MS = 500
const CONNECT_TIMEOUT_MS = 2_000
/** How long a Redis that did not answer is left alone before it is asked again. */
const PAUSE_MS = 1_000
const RETRY_MS_MIN = 50
const RETRY_MS_MAX = 500
/** A Redis that refuses (no memory left, read only) refuses every request: a line a minute is enough. */
const REFUSAL_LINES_INTERVAL_MS = 60_000

/** What every connection is told. */
export const connectionOptions = {
  connectTimeout: CONNECT_TIMEOUT_MS,
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
 * Redis as a request sees it: it answers within half a second or it is away. While it is away
 * nobody waits for it, and it is asked once a second whether it is back.
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
export class RedisAway extends Error {
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
  /** Those who wait for an answer: when Redis goes away they all hear it at once. */
  const waiting = new Set<(reason: RedisAway) => void>()
  let state: 'connecting' | 'up' | 'away' | 'closed' = 'connecting'
  let awaySince = 0
  let nextRefusalLineAt = 0
  let lastError: unknown
  let pause: Timer | undefined

  commands.on('error', (error: unknown) => {
    lastError = error
  })
  commands.on('ready', comeBack)
  commands.on('close', () => goAway(lastError ?? 'it closed the connection'))

  function goAway(reason: unknown): void {
    if (state === 'closed') return
    if (state !== 'away') {
      awaySince = performance.now()
      log.warn({ error: reason }, 'Redis is away: limits, cache and bus are this process’s alone')
    }
    state = 'away'
    const away = new RedisAway('Redis is away', { cause: reason })
    for (const refuse of waiting) refuse(away)
    waiting.clear()
    // A connection that is gone comes back by itself.
    if (commands.status === 'ready') pause ??= setTimeout(askAgain, PAUSE_MS)
  }

  function comeBack(): void {
    if (state === 'closed') return
    clearTimeout(pause)
    pause = undefined
    lastError = undefined
    if (state === 'away') {
      const duration = Math.round((performance.now() - awaySince) * 1e6)
      log.info({ 'event.duration': duration }, 'Redis is back')
    }
    state = 'up'
  }

  /** Not a request: that would have to wait. */
  function askAgain(): void {
    pause = undefined
    commands.ping().then(comeBack, goAway)
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
      return new Promise((resolve, reject) => {
        waiting.add(reject)
        question().then(
          (reply) => {
            waiting.delete(reject)
            return resolve(reply)
          },
          (error: unknown) => {
            // Who was told already had its answer, and it is old news that Redis was away.
            if (!waiting.delete(reject)) return
            if (isRefusal(error)) {
              reportRefusal(error)
              reject(error)
              return
            }
            goAway(error)
            reject(new RedisAway('Redis is away', { cause: error }))
          },
        )
      })
    },
    async close() {
      state = 'closed'
      clearTimeout(pause)
      commands.disconnect()
    },
  }
}

/** Redis did answer: it is there, and others may fare better. */
const isRefusal = (error: unknown) => error instanceof Error && error.name === 'ReplyError'
