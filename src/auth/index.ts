import type { Events } from '../events.ts'
import { type Authenticate, SERVER } from '../gateway/principal.ts'
import type { Route } from '../gateway/route.ts'
import type { Clock } from '../platform/clock.ts'
import type { Config } from '../platform/config.ts'
import type { Database } from '../platform/database/database.ts'
import type { Jobs } from '../platform/jobs/jobs.ts'
import type { Log } from '../platform/log.ts'
import type { Outbox } from '../platform/outbox/outbox.ts'
import { createAdministrators } from './accounts/administrators.ts'
import { createUserImport } from './accounts/user-import.ts'
import { createUserList } from './accounts/user-list.ts'
import { createUserPasswords, randomPassword } from './accounts/user-passwords.ts'
import { createUsers } from './accounts/users.ts'
import { auditRoutes } from './audit.routes.ts'
import { createAudit } from './audit/audit.ts'
import { keyRoutes } from './keys.routes.ts'
import { activeFromMs } from './keys/key-life.ts'
import { createKeyStore } from './keys/key-store.ts'
import { createKeys } from './keys/keys.ts'
import { createSeal } from './keys/seal.ts'
import { createSecrets } from './keys/secrets.ts'
import { meRoutes } from './me.routes.ts'
import { passkeyLoginRoutes } from './passkey-logins.routes.ts'
import { passkeyRoutes } from './passkeys.routes.ts'
import { createPasswords } from './passwords/passwords.ts'
import { secondFactorRoutes } from './second-factor.routes.ts'
import { secondFactorsRoutes } from './second-factors.routes.ts'
import { createPasskeyCeremonies } from './second-factors/passkey-ceremonies.ts'
import { createPasskeyLogins } from './second-factors/passkey-logins.ts'
import { createPasskeys } from './second-factors/passkeys.ts'
import { createRecoveryCodes } from './second-factors/recovery-codes.ts'
import { createSecondFactorLogins } from './second-factors/second-factor-logins.ts'
import { createSecondFactorTickets } from './second-factors/second-factor-tickets.ts'
import { createSecondFactors } from './second-factors/second-factors.ts'
import { createTotp } from './second-factors/totp.ts'
import { sessionRoutes } from './sessions.routes.ts'
import { createLogins } from './sessions/logins.ts'
import { createRecentLogins } from './sessions/recent-logins.ts'
import { createRefreshTokens } from './sessions/refresh-tokens.ts'
import { createSessionTokens } from './sessions/session-tokens.ts'
import { createSessions } from './sessions/sessions.ts'
import { createTokens } from './sessions/tokens.ts'
import { createVerifiedTokens } from './sessions/verified-tokens.ts'
import { signupRoutes } from './signup.routes.ts'
import { authTables } from './tables.ts'
import { createTickets } from './tickets/tickets.ts'
import { tokenRoutes } from './tokens.routes.ts'
import { userImportRoutes } from './user-import.routes.ts'
import { userSecondFactorsRoutes } from './user-second-factors.routes.ts'
import { userSessionRoutes } from './user-sessions.routes.ts'
import { userRoutes } from './users.routes.ts'

export { usernameFault } from './accounts/names.ts'

export interface Auth {
  routes: Route[]
  authenticate: Authenticate
  /** Creates the administrator on the first start, and says how to log in when it made up a password. */
  start(): Promise<{ username: string; password: string } | undefined>
  /** A token for the first administrator, always by the key in the database. */
  administratorToken(): Promise<string>
  /**
   * Sets a new random password for the first administrator, removes its second factors and ends its sessions.
   */
  resetAdministrator(): Promise<{ username: string; password: string }>
  /**
   * Makes the key that signs next, unless one waits already. With `isCompromised` it signs at once,
   * all others are removed, and the tokens that they signed are refused.
   */
  rotateKeys(options: { isCompromised: boolean }): Promise<{ id: string; activeFrom: Date }>
}

/** Who you are: users, sessions, tokens and the keys that sign them. */
export function createAuth(deps: {
  config: Config
  database: Database
  outbox: Outbox<Events>
  jobs: Jobs
  clock: Clock
  log: Log
}): Auth {
  const { config, database, jobs, clock, log } = deps
  const tables = authTables(database.kit)
  const rotationSeconds = config.KEY_ROTATION_SECONDS
  const audit = createAudit({ ...deps, tables, ttlSeconds: config.AUDIT_TTL_SECONDS })
  const keyStore = createKeyStore({ database, tables, audit, clock, rotationSeconds })
  const keys = createKeys({ store: keyStore, clock })
  const passwords = createPasswords({
    queueMax: config.PASSWORD_QUEUE_MAX,
    words: config.PASSWORD_WORDS,
  })
  const tokens = createTokens({
    keys,
    issuer: config.PUBLIC_URL,
    secret: config.JWT_SECRET,
    clock,
  })
  const verified = createVerifiedTokens({
    read: createSessionTokens({ database, tables, tokens, keys, clock }),
    clock,
    cacheMax: config.TOKEN_CACHE_MAX,
  })
  const secrets = createSecrets({ database, tables })
  const tickets = createTickets({ database, tables, clock })
  const refreshTokens = createRefreshTokens(secrets)
  const refreshedSeconds = config.REFRESHED_TOKEN_TTL_SECONDS
  const sessions = createSessions({
    database,
    tables,
    tokens,
    refreshTokens,
    audit,
    clock,
    loginSeconds: config.LOGIN_TOKEN === 'short' ? refreshedSeconds : config.TOKEN_TTL_SECONDS,
    refreshedSeconds,
    ttlSeconds: config.SESSION_TTL_SECONDS,
    idleSeconds: config.SESSION_IDLE_SECONDS,
    perAccountMax: config.SESSIONS_PER_ACCOUNT_MAX,
    forget: verified.forget,
  })
  const { forget } = verified
  const publicUrl = config.PUBLIC_URL
  const totp = createTotp({ ...deps, tables, seal: createSeal(secrets, 'totp') })
  const recoveryCodes = createRecoveryCodes(tables)
  const passkeys = createPasskeys({ database, tables, clock })
  const ceremonies = createPasskeyCeremonies({ database, tickets, passkeys, publicUrl })
  const factors = { database, tables, sessions, audit, totp, recoveryCodes, passkeys, ceremonies }
  const secondFactors = createSecondFactors({ ...factors, publicUrl, forget })
  const secondFactorTickets = createSecondFactorTickets({ database, tables, tickets, audit })
  const secondFactorLogins = createSecondFactorLogins({ ...factors, secondFactorTickets })
  const passkeyLogins = createPasskeyLogins(factors)
  const recentLogins = createRecentLogins({ database, tables, clock })
  const logins = createLogins({
    database,
    tables,
    sessions,
    passwords,
    secondFactors,
    secondFactorTickets,
    audit,
    log,
  })
  const common = { database, tables, passwords, sessions, audit, clock, forget, secondFactors }
  const administrators = createAdministrators(common)
  const users = createUsers({ ...common, administrators })
  const userPasswords = createUserPasswords(common)
  const userImport = createUserImport(common)
  const userList = createUserList(common)

  const upkeep = (type: string, pattern: string, run: () => Promise<void>) => {
    jobs.handle(type, { run })
    jobs.schedule(type, pattern, { type, key: type, payload: {} })
  }
  upkeep('keys.maintain', '37 * * * *', () => keyStore.maintain())
  upkeep('sessions.expire', '17 * * * *', () => sessions.removeExpired())
  upkeep('tickets.expire', '27 * * * *', () => tickets.removeExpired())
  upkeep('audit.expire', '47 3 * * *', () => audit.removeExpired())

  return {
    routes: [
      ...tokenRoutes({ logins, sessions, verified }),
      ...sessionRoutes(sessions),
      ...secondFactorRoutes(secondFactorLogins),
      ...passkeyLoginRoutes(passkeyLogins),
      ...signupRoutes({ users, isOpen: config.SIGNUP === 'open' }),
      ...meRoutes({ users, userPasswords }),
      ...secondFactorsRoutes({ secondFactors, recentLogins }),
      ...passkeyRoutes({ secondFactors, ceremonies, recentLogins }),
      ...userImportRoutes({ userImport, usersMax: config.IMPORT_USERS_MAX }),
      ...userSessionRoutes({ users, sessions }),
      ...userSecondFactorsRoutes({ users, secondFactors }),
      ...userRoutes({ users, userList, userPasswords }),
      ...auditRoutes(audit),
      ...keyRoutes(keys),
    ],
    authenticate: verified.authenticate,
    async start() {
      await keys.signing()
      await secrets.ensure()
      const password = config.ADMIN_PASSWORD ?? randomPassword()
      const created = await administrators.createFirst(config.ADMIN_USERNAME, password)
      if (created === undefined || config.ADMIN_PASSWORD !== undefined) return undefined
      return { username: created.username, password }
    },
    async administratorToken() {
      const account = await administrators.first()
      if (account === undefined) throw new Error('there is no administrator yet')
      return sessions.openFor(account)
    },
    async resetAdministrator() {
      const password = randomPassword()
      const account = await administrators.first()
      if (account === undefined) throw new Error('there is no administrator yet')
      await userPasswords.reset(account.id, password, SERVER)
      await secondFactors.removeAll(account.id, SERVER)
      return { username: account.username, password }
    },
    async rotateKeys({ isCompromised }) {
      const key = await (isCompromised ? keyStore.replaceAll() : keyStore.rotate())
      return { id: key.id, activeFrom: new Date(activeFromMs(key)) }
    },
  }
}
