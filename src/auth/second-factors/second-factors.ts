import { eq } from 'drizzle-orm'

import type { Actor } from '../../gateway/principal.ts'
import { problems } from '../../gateway/problems.ts'
import {
  type Database,
  isUniqueViolation,
  type Reads,
  type Writes,
} from '../../platform/database/database.ts'
import type { User } from '../accounts/new-user.ts'
import type { WaysToLogIn } from '../accounts/ways-to-log-in.ts'
import type { Audit } from '../audit/audit.ts'
import { authProblems } from '../problems.ts'
import { requireOpenSession } from '../sessions/open-sessions.ts'
import type { Sessions } from '../sessions/sessions.ts'
import type { AuthTables } from '../tables.ts'
import {
  type NewPasskey,
  type Passkey,
  type Passkeys,
  PASSKEYS_PER_ACCOUNT_MAX,
} from './passkeys.ts'
import type { RecoveryCodes } from './recovery-codes.ts'
import { totpUri, typedTotpCode } from './totp-codes.ts'
import type { Totp } from './totp.ts'

/** By which an account can show, beside its password, who it is. */
export type SecondFactorMethod = 'totp' | 'recovery_code' | 'passkey'

/** Somebody who changes what they log in with. */
interface Owner {
  id: string
  /** Lives on when the others end. */
  sessionId: string
  actor: Actor
}

/**
 * What an account shows beside its password. With the first one its other sessions end, since they were
 * opened by less; what is left when the last one goes are recovery codes, which go with it.
 */
export interface SecondFactors {
  /** All that will do; none where the password is enough. */
  methods(accountId: string): Promise<SecondFactorMethod[]>
  /** Within the write that opens a session by password alone. */
  isNone(reads: Reads, accountId: string): Promise<boolean>
  state(
    accountId: string,
  ): Promise<{ isTotpEnabled: boolean; passkeys: number; recoveryCodesLeft: number }>

  /** The address that an app reads, mostly as a QR code. */
  totpUri(username: string, secret: string): string
  /** @throws {Problem} 409 when there is one already. @returns the secret and its address for an app. */
  beginTotp(owner: Owner): Promise<{ secret: string; uri: string }>
  /** @throws {Problem} 409 when none was begun, 422 when the code is wrong. @returns recovery codes. */
  confirmTotp(owner: Owner, code: string): Promise<string[]>
  /** @returns whether there was one. */
  removeTotp(owner: Owner): Promise<boolean>
  /** @throws {Problem} 409 when there is nothing that they would recover. */
  replaceRecoveryCodes(owner: Owner): Promise<string[]>

  listPasskeys(accountId: string): Promise<Passkey[]>
  /** @throws {Problem} 409 when there are too many, or it is known. */
  addPasskey(owner: Owner, name: string, passkey: NewPasskey): Promise<Passkey>
  /**
   * @returns whether the account had it.
   * @throws {Problem} 409 when its owner could not log in any more.
   */
  removePasskey(owner: Owner, id: string): Promise<boolean>

  /** For who has lost them: takes all away and ends all sessions. Nothing happens where there is none. */
  removeAll(accountId: string, actor: Actor): Promise<void>
  /** Within the write that removes an account. @returns whether there was any. */
  clear(tx: Writes, accountId: string): Promise<boolean>
}

export function createSecondFactors(deps: {
  database: Database
  tables: AuthTables
  totp: Totp
  recoveryCodes: RecoveryCodes
  passkeys: Passkeys
  sessions: Sessions
  waysToLogIn: WaysToLogIn
  audit: Audit
  publicUrl: string
  /** Called after a commit that ended sessions of an account. */
  forget: (accountId: string) => void
}): SecondFactors {
  const { database, totp, recoveryCodes, passkeys, sessions, waysToLogIn, audit, forget } = deps
  const { accounts } = deps.tables
  const { hostname } = new URL(deps.publicUrl)
  const uriOf = (username: string, secret: string) => totpUri(secret, { username, hostname })

  async function isNone(reads: Reads, id: string): Promise<boolean> {
    if (await totp.isEnabled(reads, id)) return false
    return (await passkeys.list(reads, id)).length === 0
  }

  const state: SecondFactors['state'] = async (accountId) => ({
    isTotpEnabled: await totp.isEnabled(database.read, accountId),
    passkeys: (await passkeys.list(database.read, accountId)).length,
    recoveryCodesLeft: await recoveryCodes.left(database.read, accountId),
  })

  /** Everything that changes them has the account to itself, as a login has that takes one. */
  function change<T>(id: string, work: (tx: Writes, account: User) => Promise<T>): Promise<T> {
    return database.write(async (tx) => {
      const [account] = await database.lock(tx.select().from(accounts).where(eq(accounts.id, id)))
      // Removed since the token was looked up.
      if (account === undefined) throw problems.invalidToken()
      return work(tx, account)
    })
  }

  /** As `change`, by its owner, who is still in. */
  function changeOwn<T>(owner: Owner, work: Parameters<typeof change<T>>[1]): Promise<T> {
    return change(owner.id, async (tx, account) => {
      await requireOpenSession(tx, deps.tables, owner)
      return work(tx, account)
    })
  }

  async function add<T>(owner: Owner, work: Parameters<typeof change<T>>[1]) {
    const { id, sessionId } = owner
    const added = await changeOwn(owner, async (tx, account) => {
      if (await isNone(tx, id)) await sessions.revoke(tx, id, sessionId)
      return work(tx, account)
    })
    forget(id)
    return added
  }

  async function settleRemoval(tx: Writes, { id, actor }: Owner): Promise<void> {
    if (!(await isNone(tx, id))) return
    await recoveryCodes.remove(tx, id)
    await audit.record(tx, actor, 'auth.second_factors_removed', { user_id: id })
  }

  async function clear(tx: Writes, id: string): Promise<boolean> {
    const hadTotp = await totp.remove(tx, id)
    const hadPasskeys = await passkeys.removeAll(tx, id)
    await recoveryCodes.remove(tx, id)
    return hadTotp || hadPasskeys
  }

  return {
    isNone,
    state,
    totpUri: uriOf,
    clear,
    async methods(accountId) {
      const { isTotpEnabled, passkeys: keys, recoveryCodesLeft } = await state(accountId)
      return [
        ...(isTotpEnabled ? (['totp'] as const) : []),
        ...(recoveryCodesLeft > 0 ? (['recovery_code'] as const) : []),
        ...(keys > 0 ? (['passkey'] as const) : []),
      ]
    },

    beginTotp(owner) {
      const { id } = owner
      return changeOwn(owner, async (tx, { username }) => {
        if (await totp.isEnabled(tx, id)) {
          throw authProblems.totpEnabled({ detail: 'Remove it first, to set up another app.' })
        }
        const secret = await totp.begin(tx, id)
        return { secret, uri: uriOf(username, secret) }
      })
    },
    confirmTotp(owner, typed) {
      const { id, actor } = owner
      const code = typedTotpCode(typed)
      return add(owner, async (tx) => {
        const isRight = code === undefined ? false : await totp.confirm(tx, id, code)
        if (isRight === undefined) {
          throw authProblems.totpNotBegun({ detail: 'Begin it, then confirm within ten minutes.' })
        }
        if (!isRight) {
          throw authProblems.badTotpCode({
            detail: 'It is not the code that the app shows now. Is the clock of its device right?',
          })
        }
        await audit.record(tx, actor, 'auth.totp_enabled', { user_id: id })
        return recoveryCodes.replace(tx, id)
      })
    },
    removeTotp(owner) {
      const { id, actor } = owner
      return changeOwn(owner, async (tx) => {
        if (!(await totp.remove(tx, id))) return false
        await audit.record(tx, actor, 'auth.totp_removed', { user_id: id })
        await settleRemoval(tx, owner)
        return true
      })
    },
    replaceRecoveryCodes(owner) {
      const { id, actor } = owner
      return changeOwn(owner, async (tx) => {
        if (await isNone(tx, id)) {
          throw authProblems.noSecondFactor({ detail: 'Set up TOTP or a passkey first.' })
        }
        await audit.record(tx, actor, 'auth.recovery_codes_replaced', { user_id: id })
        return recoveryCodes.replace(tx, id)
      })
    },

    listPasskeys: (accountId) => passkeys.list(database.read, accountId),
    async addPasskey(owner, name, passkey) {
      const { id, actor } = owner
      try {
        return await add(owner, async (tx) => {
          if ((await passkeys.list(tx, id)).length >= PASSKEYS_PER_ACCOUNT_MAX) {
            throw authProblems.tooManyPasskeys({
              detail: `An account may have ${PASSKEYS_PER_ACCOUNT_MAX}. Remove one first.`,
            })
          }
          const added = await passkeys.add(tx, id, name, passkey)
          const details = { user_id: id, passkey_id: added.id }
          await audit.record(tx, actor, 'auth.passkey_added', details)
          return added
        })
      } catch (error) {
        if (!isUniqueViolation(error)) throw error
        throw authProblems.passkeyKnown({ detail: 'This passkey is registered already.' })
      }
    },
    removePasskey(owner, passkeyId) {
      const { id, actor } = owner
      return changeOwn(owner, async (tx, account) => {
        if (!(await passkeys.remove(tx, id, passkeyId))) return false
        await waysToLogIn.requireOne(tx, account)
        const details = { user_id: id, passkey_id: passkeyId }
        await audit.record(tx, actor, 'auth.passkey_removed', details)
        await settleRemoval(tx, owner)
        return true
      })
    },

    async removeAll(id, actor) {
      await change(id, async (tx) => {
        if (!(await clear(tx, id))) return
        await sessions.revoke(tx, id)
        await audit.record(tx, actor, 'auth.second_factors_removed', { user_id: id })
      })
      forget(id)
    },
  }
}
