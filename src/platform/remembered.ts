import { LRUCache } from 'lru-cache'

import type { Clock } from './clock.ts'
import { DatabaseSilent, isDatabaseAway } from './database/database.ts'
import { within } from './within.ts'

/** How old what is remembered may be before it is read again. */
const REREAD_INTERVAL_MS = 1000
/** How old it may be for those who ask while one reads it again. */
const UNSEEN_MAX_MS = 2000
/** How long what was read is believed while the database can't be asked. */
const UNREAD_MAX_MS = 60_000
/** How long who asks waits to hear whether it is still so. */
const PATIENCE_MS = 1000

/** What the database says of each key: remembered, and read again each second by who asks first. */
export interface Remembered<Value> {
  get(key: string): Value | Promise<Value>
  /** Forgets what is remembered. Call it after the commit of a change. */
  forget(key: string): void
  /** Forgets every value of which that is so. */
  forgetAll(isSo: (value: Value) => boolean): void
}

interface Entry<Value> {
  /** None before the first answer. */
  value: Value | undefined
  /** When the database was last asked, and when what it answered last was asked for. */
  askedAtMs: number
  confirmedAtMs: number
  /** Under way, for all who ask. */
  reading: Promise<Value> | undefined
}

export function createRemembered<Value extends object>(deps: {
  /** @param known what it was the last time. */
  read: (key: string, known: Value | undefined) => Promise<Value>
  /** Whether a failed read says that there is nothing any more, whoever still waits to hear it. */
  isRefusal?: (error: unknown) => boolean
  clock: Clock
  /** Keys that are remembered; the one that was not asked for the longest makes room. */
  max: number
}): Remembered<Value> {
  const { read, isRefusal, clock } = deps
  const entries = new LRUCache<string, Entry<Value>>({ max: deps.max })

  const isBelieved = ({ confirmedAtMs }: Entry<Value>) =>
    clock.now() - confirmedAtMs < UNREAD_MAX_MS

  function drop(key: string, entry: Entry<Value>): void {
    if (entries.peek(key) === entry) entries.delete(key)
  }

  /** Goes on when nobody waits for it any more. */
  async function readAgain(key: string, entry: Entry<Value>): Promise<Value> {
    const now = clock.now()
    entry.askedAtMs = now
    try {
      entry.value = await read(key, entry.value)
      entry.confirmedAtMs = now
      return entry.value
    } catch (error) {
      if (entry.value === undefined || isRefusal?.(error)) drop(key, entry)
      throw error
    } finally {
      entry.reading = undefined
    }
  }

  /**
   * One asks the database. The others believe what is remembered, unless nobody has asked for so long
   * that they might miss a change; then they wait too, as long as it may be worth while.
   */
  async function confirm(key: string, entry: Entry<Value>, known: Value): Promise<Value> {
    const { reading, askedAtMs, confirmedAtMs } = entry
    const now = clock.now()
    const isCertain = Math.abs(now - confirmedAtMs) < UNSEEN_MAX_MS
    const isInVain = Math.abs(now - askedAtMs) >= PATIENCE_MS
    if (reading !== undefined && isBelieved(entry) && (isCertain || isInVain)) return known
    entry.reading ??= readAgain(key, entry)
    try {
      return await within(PATIENCE_MS, entry.reading, () => {
        throw new DatabaseSilent()
      })
    } catch (error) {
      if (isDatabaseAway(error) && isBelieved(entry)) return known
      drop(key, entry)
      throw error
    }
  }

  return {
    get(key) {
      let entry = entries.get(key)
      if (entry === undefined) {
        entry = { value: undefined, askedAtMs: 0, confirmedAtMs: -Infinity, reading: undefined }
        entries.set(key, entry)
        entry.reading = readAgain(key, entry)
      }
      const { value } = entry
      if (value === undefined) return entry.reading!
      // Either way: a clock that was set back would have it remembered until it has caught up.
      const isRecent = Math.abs(clock.now() - entry.askedAtMs) < REREAD_INTERVAL_MS
      return isRecent && entry.reading === undefined ? value : confirm(key, entry, value)
    },
    // What is being read was asked for before the change: whoever waits for it gets it, and nobody later.
    forget: (key) => void entries.delete(key),
    forgetAll(isSo) {
      for (const [key, { value }] of entries) {
        if (value === undefined || isSo(value)) entries.delete(key)
      }
    },
  }
}
