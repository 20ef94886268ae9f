import { Redis as Client } from 'ioredis'

import { connectionOptions } from './redis.ts'

/** A connection that nothing is heard on may be quiet, or cut somewhere on the way. */
const PING_INTERVAL_MS = 5_000

export interface Subscription {
  isHearing(): boolean
  close(): Promise<void>
}

/**
 * Listens to a channel on a connection of its own, and after each break listens again, without an
 * end. What is said meanwhile is lost: Redis keeps nothing of a channel.
 */
export function openSubscription(options: {
  url: string
  channel: string
  hear: (message: string) => void
  /** Hears when messages begin to arrive and when they no longer do, with what is known of the reason. */
  changed: (isHearing: boolean, reason?: unknown) => void
}): Subscription {
  const { url, channel, hear, changed } = options
  // Without a retry limit: a failed attempt to subscribe is followed by the next connection.
  const client = new Client(url, {
    ...connectionOptions,
    maxRetriesPerRequest: null,
    autoResubscribe: false,
  })
  let isHearing = false
  let isClosed = false
  let isPinging = false
  let lastError: unknown

  function set(next: boolean, reason?: unknown): void {
    if (isClosed || next === isHearing) return
    isHearing = next
    changed(next, reason)
  }

  client.on('error', (error: unknown) => {
    lastError = error
  })
  client.on('close', () => {
    isPinging = false
    set(false, lastError)
  })
  client.on('ready', () => {
    lastError = undefined
    // By hand: ioredis does not say when its own subscribing has succeeded.
    client.subscribe(channel).then(
      () => set(true),
      (error: unknown) => {
        lastError = error
        client.disconnect(true)
      },
    )
  })
  client.on('message', (_, message: string) => hear(message))

  const pings = setInterval(() => {
    if (client.status !== 'ready') return
    if (isPinging) {
      lastError = new Error(`no answer to a ping for ${PING_INTERVAL_MS} ms`)
      client.disconnect(true)
      return
    }
    isPinging = true
    const answered = () => {
      isPinging = false
    }
    client.ping().then(answered, answered)
  }, PING_INTERVAL_MS)

  return {
    isHearing: () => isHearing,
    async close() {
      isClosed = true
      isHearing = false
      clearInterval(pings)
      client.disconnect()
    },
  }
}
