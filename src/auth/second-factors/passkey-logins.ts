import { eq } from 'drizzle-orm'

import type { Events } from '../../events.ts'
import type { Clock } from '../../platform/clock.ts'
import type { Database } from '../../platform/database/database.ts'
import type { Log } from '../../platform/log.ts'
import type { User } from '../accounts/new-user.ts'
import type { Audit } from '../audit/audit.ts'
import { createWriteCap } from '../audit/write-cap.ts'
import { authProblems } from '../problems.ts'
import type { Caller, IssuedTokens, Sessions } from '../sessions/sessions.ts'
import type { AuthTables } from '../tables.ts'
import { createLoginFailures } from './login-failures.ts'
import type {
  AuthenticationResponse,
  PasskeyCeremonies,
  RequestOptions,
} from './passkey-ceremonies.ts'
import type { Passkeys } from './passkeys.ts'

/** Logging in by a passkey alone: what one has, unlocked by what one knows or is. */
export interface PasskeyLogins {
  options(): Promise<RequestOptions>
  /**
   * @throws {Problem} 401 when the passkey is not known, or anything in its answer is wrong; 403 when it is
   * right and the account may not be used.
   */
  byPasskey(
    response: AuthenticationResponse,
    caller: Caller,
  ): Promise<IssuedTokens & { account: User }>
}

export function createPasskeyLogins(deps: {
  database: Database
  tables: AuthTables
  sessions: Sessions
  passkeys: Passkeys
  ceremonies: PasskeyCeremonies
  audit: Audit
  clock: Clock
  log: Log
}): PasskeyLogins {
  const { database, sessions, passkeys, ceremonies } = deps
  const { accounts } = deps.tables
  const failures = createLoginFailures(deps)
  const mayRecord = createWriteCap(deps)

  async function refuse(
    accountId: string | null,
    reason: Events['auth.login_failed']['reason'],
    caller: Caller,
  ): Promise<never> {
    // Whoever sends rubbish names no account.
    if (accountId !== null || mayRecord(caller.address, false)) {
      await database.write((tx) => failures.record(tx, accountId, reason, caller))
    }
    throw badPasskey()
  }

  return {
    options: () => ceremonies.loginOptions(),
    async byPasskey(response, caller) {
      const signed = await ceremonies.verify('passkey_login', response)
      // WebAuthn, section 7.2, step 6: who was not known before says so.
      if (signed === undefined || signed.userHandle !== signed.passkey.accountId) {
        return refuse(null, 'passkey', caller)
      }
      const { id, accountId } = signed.passkey
      const [account] = await database.read
        .select()
        .from(accounts)
        .where(eq(accounts.id, accountId))
      if (account === undefined) return refuse(null, 'passkey', caller)
      let use: Awaited<ReturnType<Passkeys['use']>> | undefined
      const issued = await sessions.open(account, ['passkey'], caller, async (tx) => {
        use = await passkeys.use(tx, id, signed)
        return use === 'used'
      })
      if (issued !== undefined) return { ...issued, account }
      if (use === 'counted-back') return refuse(accountId, 'passkey_counter', caller)
      throw (await failures.ofDisabled(accountId, caller)) ?? badPasskey()
    },
  }
}

const badPasskey = () =>
  authProblems.badPasskey({
    detail: 'It is not known here, or its challenge was used or is too old.',
  })
