import { and, eq } from 'drizzle-orm'

import type { Events } from '../../events.ts'
import type { Actor } from '../../gateway/principal.ts'
import type { Clock } from '../../platform/clock.ts'
import type { Database, Writes } from '../../platform/database/database.ts'
import type { Audit } from '../audit/audit.ts'
import type { MailedTickets } from '../mail/mailed-tickets.ts'
import type { Mailings } from '../mail/mailings.ts'
import type { Passwords } from '../passwords/passwords.ts'
import { authProblems } from '../problems.ts'
import type { Sessions } from '../sessions/sessions.ts'
import type { Guess, Throttle } from '../sessions/throttle.ts'
import type { AuthTables } from '../tables.ts'
import type { Credentials } from './credentials.ts'
import { NO_PASSWORD, type User } from './new-user.ts'
import type { Allow } from './outranking.ts'
import { PASSWORD_TICKETS } from './password-resets.ts'
import { NO_PENDING_ADDRESS } from './pending-addresses.ts'

export interface UserPasswords {
  /**
   * Has somebody who has logged in prove once more who they are, before a change that matters.
   *
   * @throws {Problem} 403 when the password is wrong; 429 while too many wrong ones came before.
   */
  confirm(id: string, password: string, actor: Actor): Promise<void>
  /**
   * Sets an account's password and ends its other sessions.
   *
   * @throws {Problem} as `confirm`.
   */
  change(change: {
    id: string
    currentPassword: string
    password: string
    sessionId: string
    actor: Actor
  }): Promise<void>
  /**
   * Sets an account's password without the current one, and ends all its sessions.
   *
   * @param allow called within the write; for whoever does it to others.
   * @returns whether there is such an account.
   */
  reset(id: string, password: string, actor: Actor, allow?: Allow): Promise<boolean>
  /**
   * Voids an account's password, ends all its sessions and removes whatever else lets anybody in. Its
   * owner sets the next one, which nobody else ever knows (ASVS 6.4.1, 6.4.6), by a link that is mailed.
   *
   * @param allow as of `reset`.
   * @returns the link where it can't be mailed; `undefined` where there is no such account.
   */
  void(
    id: string,
    actor: Actor,
    allow?: Allow,
  ): Promise<{ setPasswordUrl: string | null } | undefined>
}

export function createUserPasswords(deps: {
  database: Database
  tables: AuthTables
  passwords: Passwords
  sessions: Sessions
  mailedTickets: MailedTickets
  mailings: Mailings
  throttle: Throttle
  credentials: Credentials
  audit: Audit
  clock: Clock
  /** Called after a commit that ended sessions of an account. */
  forget: (accountId: string) => void
}): UserPasswords {
  const { database, passwords, sessions, mailedTickets, mailings, throttle, audit, clock } = deps
  const { credentials, forget } = deps
  const { accounts } = deps.tables

  async function get(id: string): Promise<User | undefined> {
    const [account] = await database.read.select().from(accounts).where(eq(accounts.id, id))
    return account
  }

  /** @returns false when there is no such account any more, or when its hash is not `known` any more. */
  async function set(
    account: User,
    options: {
      password: string
      actor: Actor
      known?: string
      keptSession?: string
      allow?: Allow | undefined
    },
  ): Promise<boolean> {
    const { id } = account
    const { password, actor, known, keptSession, allow } = options
    const passwordHash = await passwords.hashNew(password, account)
    const isSet = await database.write(async (tx) => {
      const isKnown = known === undefined ? undefined : eq(accounts.passwordHash, known)
      const rows = await tx
        .update(accounts)
        .set({ passwordHash, ...VOUCHED, updatedAt: new Date(clock.now()) })
        .where(and(eq(accounts.id, id), isKnown))
        .returning({ id: accounts.id, role: accounts.role })
      if (rows[0] === undefined) return false
      allow?.(rows[0])
      await sessions.revoke(tx, id, keptSession)
      await mailedTickets.revoke(tx, PASSWORD_TICKETS, id)
      await mailings.enqueue(tx, { letter: 'password_changed', accountId: id })
      await audit.record(tx, actor, 'auth.password_changed', { user_id: id })
      return true
    })
    if (isSet) forget(id)
    return isSet
  }

  const tell = (
    tx: Writes,
    id: string,
    actor: Actor,
    reason: Events['auth.reauthentication_failed']['reason'],
  ) => audit.record(tx, actor, 'auth.reauthentication_failed', { user_id: id, reason })

  /** @returns the account as it is, with the hash that the password is right for. */
  async function requireRight(id: string, password: string, actor: Actor, guess: Guess) {
    const account = await get(id)
    const isRight = await passwords.verify(password, account?.passwordHash)
    if (account !== undefined && isRight) return account
    await database.write(async (tx) => {
      await tell(tx, id, actor, 'credentials')
      await guess.failed(tx)
    })
    throw authProblems.wrongPassword({ detail: 'The current password is wrong.' })
  }

  const guessing = <T>(id: string, actor: Actor, work: (guess: Guess) => Promise<T>) =>
    throttle.atAccount(id, work, (tx) => tell(tx, id, actor, 'held_back'))

  return {
    confirm: (id, password, actor) =>
      guessing(id, actor, async (guess) => {
        await requireRight(id, password, actor, guess)
        await guess.succeeded()
      }),
    change: ({ id, currentPassword, password, sessionId: keptSession, actor }) =>
      guessing(id, actor, async (guess) => {
        let isSet = false
        // Once more where the hash was replaced meanwhile: an administrator may have shut this one out.
        while (!isSet) {
          const account = await requireRight(id, currentPassword, actor, guess)
          const { passwordHash: known } = account
          isSet = await set(account, { password, actor, known, keptSession })
        }
        await guess.succeeded()
      }),
    async reset(id, password, actor, allow) {
      const account = await get(id)
      if (account === undefined) return false
      // Before the hash, which costs 40 ms, and again once nobody else can change the account.
      allow?.(account)
      return set(account, { password, actor, allow })
    },
    async void(id, actor, allow) {
      const voided = await database.write(async (tx) => {
        const [account] = await tx
          .update(accounts)
          .set({ passwordHash: NO_PASSWORD, ...VOUCHED, updatedAt: new Date(clock.now()) })
          .where(eq(accounts.id, id))
          .returning()
        if (account === undefined) return undefined
        allow?.(account)
        await sessions.revoke(tx, id)
        await mailedTickets.revoke(tx, PASSWORD_TICKETS, id)
        await audit.record(tx, actor, 'auth.password_voided', { user_id: id })
        await credentials.clear(tx, id, actor)
        if (!mailings.reaches(account)) {
          return { setPasswordUrl: await mailings.setPasswordLink(tx, account) }
        }
        await mailings.enqueue(tx, { letter: 'set_password', accountId: id })
        return { setPasswordUrl: null }
      })
      forget(id)
      return voided
    },
  }
}

/**
 * Whose password an administrator sets, or who has logged in, waits for nothing any more. And what was
 * asked for with the password before is void: by another address somebody could undo this.
 */
const VOUCHED = { pendingSince: null, ...NO_PENDING_ADDRESS }

const RANDOM_PASSWORD_BYTES = 15

export const randomPassword = () =>
  crypto.getRandomValues(Buffer.alloc(RANDOM_PASSWORD_BYTES)).toString('base64url')
