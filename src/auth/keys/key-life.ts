import type { AuthTables } from '../tables.ts'

/** No token is believed for longer, whatever it says of itself: so long a key outlives its use. */
export const TOKEN_LIFE_SECONDS_MAX = 86_400
/** How long others may keep the published keys. */
export const KEY_SET_MAX_AGE_SECONDS = 300
/** Many times that age: caches stand behind each other, and some keep for longer than they are told. */
export const PUBLISHED_BEFORE_USE_MS = 3_600_000

export type StoredKey = AuthTables['signingKeys']['$inferSelect']

/** What the keys are good for at one moment. Rows and clock alone say it, so that all processes agree. */
export interface KeyLife {
  /** The one that signs. */
  signing: StoredKey | undefined
  /** Those whose tokens are good, in the order of their use: old ones, this one, the next. */
  accepted: StoredKey[]
  /** Those whose last token has died. */
  dead: StoredKey[]
  /** The last to be used, which may not be in use yet. */
  newest: StoredKey | undefined
}

export const activeFromMs = ({ activeFrom, createdAt }: StoredKey) =>
  (activeFrom ?? createdAt).getTime()

/** A key signs until the next one does, and is accepted until the last token that it signed has died. */
export function keyLifeAt(rows: StoredKey[], now: number): KeyLife {
  const keys = rows.toSorted((a, b) => activeFromMs(a) - activeFromMs(b) || (a.id < b.id ? -1 : 1))
  const isDead = (_: StoredKey, at: number) => {
    const next = keys[at + 1]
    return next !== undefined && activeFromMs(next) + TOKEN_LIFE_SECONDS_MAX * 1000 <= now
  }
  const dead = keys.filter(isDead)
  return {
    // None is active yet where the process that made the first one has a clock ahead of this one's.
    signing: keys.findLast((key) => activeFromMs(key) <= now) ?? keys[0],
    accepted: keys.slice(dead.length),
    dead,
    newest: keys.at(-1),
  }
}
