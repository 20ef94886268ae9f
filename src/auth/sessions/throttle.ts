import { createHmac } from 'node:crypto'

import { and, asc, count, desc, eq, gt, inArray, lte, notInArray, type SQL } from 'drizzle-orm'

import { limitKey } from '../../gateway/address.ts'
import type { Clock } from '../../platform/clock.ts'
import type { Database, Writes } from '../../platform/database/database.ts'
import type { Secrets } from '../keys/secrets.ts'
import { authProblems } from '../problems.ts'
import type { AuthTables } from '../tables.ts'
import { createTurns } from './turns.ts'

const FIRST_HOLD_MS = 1000
/** How long after the last of them failures are remembered. */
const MEMORY_MS = 86_400_000
/** How long an address from where somebody logged in is theirs, and how exactly that is known. */
const KNOWN_MS = 90 * 86_400_000
const KNOWN_RENEWAL_MS = 86_400_000
const KNOWN_PER_NAME_MAX = 20
const REMOVED_AT_ONCE = 1000

/** One guess at a password, from somewhere. */
export interface Guess {
  /** Within the write that records it: it was wrong. */
  failed(tx: Writes): Promise<void>
  /** It was right: this place is known from now on. */
  succeeded(): Promise<void>
}

/**
 * Makes who guesses at passwords wait: after some failures a second, then twice as long each time, up
 * to a limit. Failures are counted by name, by address and by the two together. While one of them is
 * held back no password is looked at, right or wrong, so that nothing can be learned meanwhile, and
 * what comes then does not prolong it.
 *
 * Nobody is locked out by others (ASVS 6.1.1): at an address from where somebody has logged in with
 * that name before, or has set a password by a link that was mailed, only the failures of that name at
 * that address count. Names that nobody has are counted too, and by the name as it was typed, so that
 * no answer tells who is here, or which names are one person's.
 *
 * It is all in the database: it holds for all instances, and through a restart. One guess at a name is
 * tried at a time, so that many at once count as well.
 */
export interface Throttle {
  /**
   * Runs `work` with one guess at the password of a name, in its folded form.
   *
   * @param tellHeld adds to a write that somebody came while they had to wait: once for each wait.
   * @throws {Problem} 429 with `Retry-After` while it is held back; 503 when too many wait for their turn.
   */
  atLogin<T>(
    login: { name: string; address: string },
    work: (guess: Guess) => Promise<T>,
    tellHeld: (tx: Writes) => Promise<void>,
  ): Promise<T>
  /** The same for an account's own password, asked of who has logged in. */
  atAccount<T>(
    accountId: string,
    work: (guess: Guess) => Promise<T>,
    tellHeld: (tx: Writes) => Promise<void>,
  ): Promise<T>
  /** Within a write: who is at this address has shown by other means that these names are theirs. */
  welcome(
    tx: Writes,
    who: { accountId: string; names: (string | null)[]; address: string },
  ): Promise<void>
  removeExpired(): Promise<void>
}

interface Counter {
  key: string
  failuresMax: number
  /** Whether it counts at a known address too. */
  isOfPlace: boolean
}

export function createThrottle(deps: {
  database: Database
  tables: AuthTables
  secrets: Secrets
  clock: Clock
  /** Failures of a name, and of an address, that cost no wait. */
  failuresMax: number
  failuresPerAddressMax: number
  holdSecondsMax: number
  /** Guesses that may wait for their turn. */
  queueMax: number
  rowsMax: number
}): Throttle {
  const { database, secrets, clock, failuresMax, failuresPerAddressMax } = deps
  const { throttles, knownAddresses } = deps.tables
  const turns = createTurns(deps.queueMax)
  let key: Promise<Buffer> | undefined

  async function digest(...parts: string[]): Promise<string> {
    const secret = await (key ??= secrets.keyFor('throttle').catch((error: unknown) => {
      key = undefined
      throw error
    }))
    return createHmac('sha256', secret).update(JSON.stringify(parts)).digest('base64url')
  }

  const holdMs = (failures: number, max: number) =>
    failures < max ? 0 : Math.min(deps.holdSecondsMax * 1000, FIRST_HOLD_MS * 2 ** (failures - max))

  async function countersOf(name: string, place: string): Promise<Counter[]> {
    return [
      { key: await digest('name', name), failuresMax, isOfPlace: false },
      {
        key: await digest('address', place),
        failuresMax: failuresPerAddressMax,
        isOfPlace: false,
      },
      { key: await digest('pair', name, place), failuresMax, isOfPlace: true },
    ]
  }

  /** In one order, so that two writes never wait for each other. */
  const lockRows = (tx: Writes, keys: string[]) =>
    database.lock(
      tx.select().from(throttles).where(inArray(throttles.key, keys)).orderBy(asc(throttles.key)),
    )

  async function fail(tx: Writes, counters: Counter[]): Promise<void> {
    const now = clock.now()
    const fresh = { count: 0, heldUntil: null, isTold: false, expiresAt: new Date(now) }
    const keys = counters.map(({ key }) => key).toSorted()
    await tx
      .insert(throttles)
      .values(keys.map((key) => ({ key, ...fresh })))
      .onConflictDoNothing()
    for (const row of await lockRows(tx, keys)) {
      const { failuresMax } = counters.find(({ key }) => key === row.key)!
      const failures = (row.expiresAt.getTime() <= now ? 0 : row.count) + 1
      const hold = holdMs(failures, failuresMax)
      await tx
        .update(throttles)
        .set({
          count: failures,
          heldUntil: hold === 0 ? null : new Date(now + hold),
          isTold: false,
          expiresAt: new Date(now + MEMORY_MS),
        })
        .where(eq(throttles.key, row.key))
    }
  }

  /** @throws {Problem} 429 */
  async function requireTime(
    counters: Counter[],
    isKnown: boolean,
    tellHeld: (tx: Writes) => Promise<void>,
  ): Promise<void> {
    const now = clock.now()
    const counting = counters.filter(({ isOfPlace }) => isOfPlace || !isKnown)
    const held = await database.read
      .select()
      .from(throttles)
      .where(
        and(
          inArray(
            throttles.key,
            counting.map(({ key }) => key),
          ),
          gt(throttles.heldUntil, new Date(now)),
        ),
      )
    if (held.length === 0) return
    if (held.some(({ isTold }) => !isTold)) {
      await database.write(async (tx) => {
        const rows = await lockRows(
          tx,
          held.map(({ key }) => key),
        )
        const untold = rows.filter(({ isTold }) => !isTold).map(({ key }) => key)
        if (untold.length === 0) return
        await tx.update(throttles).set({ isTold: true }).where(inArray(throttles.key, untold))
        await tellHeld(tx)
      })
    }
    const waitMs = Math.max(...held.map(({ heldUntil }) => heldUntil!.getTime() - now))
    const seconds = String(Math.ceil(waitMs / 1000))
    throw authProblems.tooManyFailures({
      detail: `Too many wrong passwords. Try again in ${seconds} s.`,
      headers: { 'retry-after': seconds },
    })
  }

  const knownKeyOf = (name: string, place: string) => digest('known', name, place)

  async function makeKnown(tx: Writes, name: string, place: string): Promise<void> {
    const [key, nameKey] = [await knownKeyOf(name, place), await digest('name', name)]
    await tx.delete(knownAddresses).where(eq(knownAddresses.key, key))
    await tx
      .insert(knownAddresses)
      .values({ key, name: nameKey, expiresAt: new Date(clock.now() + KNOWN_MS) })
      .onConflictDoNothing()
    const newest = tx
      .select({ key: knownAddresses.key })
      .from(knownAddresses)
      .where(eq(knownAddresses.name, nameKey))
      .orderBy(desc(knownAddresses.expiresAt), desc(knownAddresses.key))
      .limit(KNOWN_PER_NAME_MAX)
    await tx
      .delete(knownAddresses)
      .where(and(eq(knownAddresses.name, nameKey), notInArray(knownAddresses.key, newest)))
  }

  /** The oldest of some; not those that are in use now. @returns how many. */
  async function removeOldest(tx: Writes, condition: SQL | undefined, most: number) {
    const rows = await database.lock(
      tx
        .select({ key: throttles.key })
        .from(throttles)
        .where(condition)
        .orderBy(asc(throttles.expiresAt))
        .limit(Math.min(most, REMOVED_AT_ONCE)),
      { skipLocked: true },
    )
    const keys = rows.map(({ key }) => key)
    if (keys.length > 0) await tx.delete(throttles).where(inArray(throttles.key, keys))
    return keys.length
  }

  const forget = (tx: Writes, key: string) => tx.delete(throttles).where(eq(throttles.key, key))

  return {
    async atLogin({ name, address }, work, tellHeld) {
      const place = limitKey(address)
      const counters = await countersOf(name, place)
      const [ofName, , ofPair] = counters as [Counter, Counter, Counter]
      /** @returns for how long the place is known still. */
      const check = async () => {
        const [known] = await database.read
          .select({ expiresAt: knownAddresses.expiresAt })
          .from(knownAddresses)
          .where(eq(knownAddresses.key, await knownKeyOf(name, place)))
        const knownMs = (known?.expiresAt.getTime() ?? 0) - clock.now()
        await requireTime(counters, knownMs > 0, tellHeld)
        return knownMs
      }
      // What is refused anyway takes no room where others wait.
      if (turns.isTaken(ofName.key)) await check()
      return turns.take(ofName.key, async () => {
        const knownMs = await check()
        return work({
          failed: (tx) => fail(tx, counters),
          async succeeded() {
            const [row] = await database.read
              .select({ key: throttles.key })
              .from(throttles)
              .where(eq(throttles.key, ofPair.key))
            const isFresh = knownMs > KNOWN_MS - KNOWN_RENEWAL_MS
            // Most logins are from where the one before was, and write nothing here.
            if (row === undefined && isFresh) return
            await database.write(async (tx) => {
              await forget(tx, ofPair.key)
              await makeKnown(tx, name, place)
            })
          },
        })
      })
    },
    async atAccount(accountId, work, tellHeld) {
      const counter = { key: await digest('account', accountId), failuresMax, isOfPlace: true }
      const check = () => requireTime([counter], false, tellHeld)
      if (turns.isTaken(counter.key)) await check()
      return turns.take(counter.key, async () => {
        await check()
        return work({
          failed: (tx) => fail(tx, [counter]),
          async succeeded() {
            await database.write(async (tx) => void (await forget(tx, counter.key)))
          },
        })
      })
    },
    async welcome(tx, { accountId, names, address }) {
      const place = limitKey(address)
      await forget(tx, await digest('account', accountId))
      for (const name of names) {
        if (name === null) continue
        await forget(tx, await digest('pair', name, place))
        await makeKnown(tx, name, place)
      }
    },
    async removeExpired() {
      const now = new Date(clock.now())
      await database.write(async (tx) => {
        await tx.delete(knownAddresses).where(lte(knownAddresses.expiresAt, now))
      })
      const removeExpired = () =>
        database.write((tx) => removeOldest(tx, lte(throttles.expiresAt, now), REMOVED_AT_ONCE))
      const removeSurplus = () =>
        database.write(async (tx) => {
          const [row] = await tx.select({ n: count() }).from(throttles)
          const surplus = row!.n - deps.rowsMax
          return surplus > 0 ? removeOldest(tx, undefined, surplus) : 0
        })
      for (const remove of [removeExpired, removeSurplus]) {
        while ((await remove()) === REMOVED_AT_ONCE);
      }
    },
  }
}
