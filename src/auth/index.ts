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
import { identityRoutes } from './identities.routes.ts'
import { keyRoutes } from './keys.routes.ts'
import { activeFromMs } from './keys/key-life.ts'
import { createKeyStore } from './keys/key-store.ts'
import { createKeys } from './keys/keys.ts'
import { createSecrets } from './keys/secrets.ts'
import { meRoutes } from './me.routes.ts'
import { createPasswords } from './passwords/passwords.ts'
import { sessionRoutes } from './sessions.routes.ts'
import { createLogins } from './sessions/logins.ts'
import { createRefreshTokens } from './sessions/refresh-tokens.ts'
import { createSessionTokens } from './sessions/session-tokens.ts'
import { createSessions } from './sessions/sessions.ts'
import { createTokens } from './sessions/tokens.ts'
import { createVerifiedTokens } from './sessions/verified-tokens.ts'
import { signupRoutes } from './signup.routes.ts'
import { finishByCode, singleSignOnRoutes } from './single-sign-on.routes.ts'
import { createArrivals } from './single-sign-on/arrivals.ts'
import { createBrowserSecret } from './single-sign-on/browser-secret.ts'
import { createIdentities } from './single-sign-on/identities.ts'
import { createIdentityRows } from './single-sign-on/identity-rows.ts'
import { readProviders } from './single-sign-on/provider-settings.ts'
import { createProviders } from './single-sign-on/providers.ts'
import { createSignOns } from './single-sign-on/sign-ons.ts'
import { authTables } from './tables.ts'
import { createTickets } from './tickets/tickets.ts'
import { tokenRoutes } from './tokens.routes.ts'
import { userImportRoutes } from './user-import.routes.ts'
import { userRoutes } from './users.routes.ts'

export { usernameFault } from './accounts/names.ts'
export { providersFault } from './single-sign-on/provider-settings.ts'

export interface Auth {
  routes: Route[]
  authenticate: Authenticate
  /** Creates the administrator on the first start, and says how to log in when it made up a password. */
  start(): Promise<{ username: string; password: string } | undefined>
  /** A token for the first administrator, always by the key in the database. */
  administratorToken(): Promise<string>
  /** Sets a new random password for the first administrator and ends its sessions. */
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
  const passwords = createPasswords({ queueMax: config.PASSWORD_QUEUE_MAX })
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
  const logins = createLogins({ database, tables, sessions, passwords, audit, log })
  const { forget } = verified
  const common = { database, tables, passwords, sessions, audit, clock, forget }
  const administrators = createAdministrators(common)
  const users = createUsers({ ...common, administrators })
  const userPasswords = createUserPasswords(common)
  const userImport = createUserImport(common)
  const userList = createUserList(common)

  const publicUrl = config.PUBLIC_URL
  const providerSettings = readProviders(config.SSO_PROVIDERS)
  const providerIds = providerSettings.map(({ id }) => id)
  const providers = createProviders({
    settings: providerSettings,
    publicUrl,
    timeoutMs: config.SSO_TIMEOUT_MS,
    clock,
  })
  const identityRows = createIdentityRows(common)
  const identities = createIdentities({ ...common, identityRows, providerIds })
  const arrivals = createArrivals({ ...common, identityRows, administrators, log })
  const signOns = createSignOns({ ...common, providers, arrivals, identities, tickets })
  const browserSecret = createBrowserSecret(publicUrl)
  const signOnDeps = { providers, signOns, browserSecret, publicUrl }

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
      ...signupRoutes({ users, isOpen: config.SIGNUP === 'open' }),
      ...singleSignOnRoutes({ ...signOnDeps, finish: finishByCode(signOns) }),
      ...identityRoutes({ ...signOnDeps, identities }),
      ...meRoutes({ users, userPasswords }),
      ...userImportRoutes({ userImport, usersMax: config.IMPORT_USERS_MAX }),
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
      return { username: account.username, password }
    },
    async rotateKeys({ isCompromised }) {
      const key = await (isCompromised ? keyStore.replaceAll() : keyStore.rotate())
      return { id: key.id, activeFrom: new Date(activeFromMs(key)) }
    },
  }
}
