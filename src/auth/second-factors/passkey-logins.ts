import { eq } from 'drizzle-orm'

import type { Events } from '../../events.ts'
import type { Clock } from '../../platform/clock.ts'
import type { Database } from '../../platform/database/database.ts'
import type { User } from '../accounts/new-user.ts'
import type { Audit } from '../audit/audit.ts'
import { ANONYMOUS_ACTS_PER_MINUTE_MAX, createWriteCap } from '../audit/write-cap.ts'
import { authProblems } from '../problems.ts'
import type { Client, Grant, Sessions } from '../sessions/sessions.ts'
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
  byPasskey(response: AuthenticationResponse, client: Client): Promise<Grant & { account: User }>
}

export function createPasskeyLogins(deps: {
  database: Database
  tables: AuthTables
  sessions: Sessions
  passkeys: Passkeys
  ceremonies: PasskeyCeremonies
  audit: Audit
  clock: Clock
}): PasskeyLogins {
  const { database, sessions, passkeys, ceremonies } = deps
  const { accounts } = deps.tables
  const failures = createLoginFailures(deps)
  const perMinuteMax = ANONYMOUS_ACTS_PER_MINUTE_MAX
  const mayRecord = createWriteCap({ clock: deps.clock, perMinuteMax })

  async function refuse(
    accountId: string | null,
    reason: Events['auth.login_failed']['reason'],
    client: Client,
  ): Promise<never> {
    // Whoever sends rubbish names no account.
    if (accountId !== null || mayRecord()) {
      await database.write((tx) => failures.record(tx, accountId, reason, client))
    }
    throw badPasskey()
  }

  return {
    options: () => ceremonies.loginOptions(),
    async byPasskey(response, client) {
      const signed = await ceremonies.verify('passkey_login', response)
      // WebAuthn, section 7.2, step 6: who was not known before says so.
      if (signed === undefined || signed.userHandle !== signed.passkey.accountId) {
        return refuse(null, 'passkey', client)
      }
      const { id, accountId } = signed.passkey
      const [account] = await database.read
        .select()
        .from(accounts)
        .where(eq(accounts.id, accountId))
      if (account === undefined) return refuse(null, 'passkey', client)
      let use: Awaited<ReturnType<Passkeys['use']>> | undefined
      const grant = await sessions.open(account, ['passkey'], client, async (tx) => {
        use = await passkeys.use(tx, id, signed)
        return use === 'used'
      })
      if (grant !== undefined) return { ...grant, account }
      if (use === 'counted-back') return refuse(accountId, 'passkey_counter', client)
      throw (await failures.ofDisabled(accountId, client)) ?? badPasskey()
    },
  }
}

const badPasskey = () =>
  authProblems.badPasskey({
    detail: 'It is not known here, or its challenge was used or is too old.',
  })
