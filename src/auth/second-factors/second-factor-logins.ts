import type { LoginMethod } from '../../events.ts'
import type { Problem } from '../../gateway/problem.ts'
import type { Database, Writes } from '../../platform/database/database.ts'
import type { User } from '../accounts/new-user.ts'
import type { Audit } from '../audit/audit.ts'
import { authProblems } from '../problems.ts'
import { hashOf } from '../sessions/refresh-tokens.ts'
import type { Caller, IssuedTokens, Sessions } from '../sessions/sessions.ts'
import type { Throttle } from '../sessions/throttle.ts'
import type { AuthTables } from '../tables.ts'
import { createLoginFailures } from './login-failures.ts'
import type {
  AuthenticationResponse,
  PasskeyCeremonies,
  RequestOptions,
} from './passkey-ceremonies.ts'
import type { Passkeys } from './passkeys.ts'
import type { RecoveryCodes } from './recovery-codes.ts'
import { badSecondFactorTicket, type SecondFactorTickets } from './second-factor-tickets.ts'
import type { SecondFactorMethod, SecondFactors } from './second-factors.ts'
import { typedTotpCode } from './totp-codes.ts'
import type { Totp } from './totp.ts'

type Login = IssuedTokens & { account: User }

/**
 * The second step of a login by password.
 *
 * Each throws 401 when the ticket is none or the factor is wrong, and 403 when it is right and the account
 * may not be used any more.
 */
export interface SecondFactorLogins {
  /** All by which the ticket's account can go on. */
  methods(ticket: string): Promise<SecondFactorMethod[]>
  /**
   * By a code of an app, or a recovery code.
   *
   * @throws {Problem} also 429 with `Retry-After` after many wrong codes of an app, whatever the ticket.
   * Recovery codes and passkeys can't be guessed and are always looked at, so that nobody who knows the
   * password can keep the account's owner out.
   */
  byCode(ticket: string, code: string, caller: Caller): Promise<Login>
  /** @throws {Problem} also 409 when the account has no passkey. */
  passkeyOptions(ticket: string): Promise<RequestOptions>
  byPasskey(ticket: string, response: AuthenticationResponse, caller: Caller): Promise<Login>
}

export function createSecondFactorLogins(deps: {
  database: Database
  tables: AuthTables
  sessions: Sessions
  secondFactors: Pick<SecondFactors, 'methods'>
  secondFactorTickets: SecondFactorTickets
  totp: Totp
  recoveryCodes: RecoveryCodes
  passkeys: Passkeys
  ceremonies: PasskeyCeremonies
  throttle: Pick<Throttle, 'welcome'>
  audit: Audit
}): SecondFactorLogins {
  const { database, sessions, totp, recoveryCodes, passkeys, ceremonies, throttle } = deps
  const tickets = deps.secondFactorTickets
  const failures = createLoginFailures(deps)

  /** @param refusalOf tells, within the write that would open the session, why not to. */
  async function open(
    account: User,
    method: LoginMethod,
    caller: Caller,
    refusalOf: (tx: Writes) => Promise<Problem | undefined>,
  ): Promise<Login> {
    let refusal: Problem | undefined
    const issued = await sessions.open(account, ['password', method], caller, async (tx) => {
      refusal = await refusalOf(tx)
      if (refusal !== undefined) return false
      const { id: accountId, usernameFolded, emailFolded } = account
      const names = [usernameFolded, emailFolded]
      // Not with the password alone: who has guessed it would be at home where its owner is.
      await throttle.welcome(tx, { accountId, names, address: caller.address })
      return true
    })
    if (refusal !== undefined) throw refusal
    if (issued === undefined)
      throw (await failures.ofDisabled(account.id, caller)) ?? badSecondFactorTicket()
    return { ...issued, account }
  }

  return {
    methods: async (ticket) => deps.secondFactors.methods((await tickets.read(ticket)).id),

    async byCode(ticket, typed, caller) {
      const account = await tickets.read(ticket)
      const { id } = account
      const code = typedTotpCode(typed)
      return open(account, code === undefined ? 'recovery_code' : 'totp', caller, async (tx) => {
        const waitMs = code === undefined ? 0 : await totp.waitMs(tx, id)
        if (waitMs > 0) return tooManyCodes(waitMs)
        if (!(await tickets.attempt(tx, ticket))) return badSecondFactorTicket()
        const isRight = await (code === undefined
          ? recoveryCodes.use(tx, id, typed)
          : totp.use(tx, id, code))
        if (isRight) await tickets.redeem(tx, ticket)
        else await failures.record(tx, id, 'second_factor', caller)
        return isRight ? undefined : badSecondFactor()
      })
    },

    async passkeyOptions(ticket) {
      const account = await tickets.read(ticket)
      const known = await passkeys.list(database.read, account.id)
      if (known.length === 0) {
        throw authProblems.noSecondFactor({ detail: 'The account has no passkey.' })
      }
      return ceremonies.secondFactorOptions(account, hashOf(ticket), known)
    },

    async byPasskey(ticket, response, caller) {
      const account = await tickets.read(ticket)
      const signed = await ceremonies.verify('passkey_second_factor', response)
      const isFor =
        signed !== undefined &&
        signed.passkey.accountId === account.id &&
        (signed.challenge.data as { ticket: string }).ticket === hashOf(ticket)
      return open(account, 'passkey', caller, async (tx) => {
        if (!(await tickets.attempt(tx, ticket))) return badSecondFactorTicket()
        const use = isFor ? await passkeys.use(tx, signed.passkey.id, signed) : 'removed'
        if (use === 'used') await tickets.redeem(tx, ticket)
        else {
          const reason = use === 'counted-back' ? 'passkey_counter' : 'second_factor'
          await failures.record(tx, account.id, reason, caller)
        }
        return use === 'used' ? undefined : badSecondFactor()
      })
    },
  }
}

const badSecondFactor = () =>
  authProblems.badSecondFactor({ detail: 'The code or the passkey is wrong, or was used.' })

function tooManyCodes(waitMs: number): Problem {
  const seconds = String(Math.ceil(waitMs / 1000))
  return authProblems.tooManyCodes({
    detail: `Try again in ${seconds} s, or use a recovery code or a passkey.`,
    headers: { 'retry-after': seconds },
  })
}
