import type { Events } from '../events.ts'
import type { Access } from '../gateway/access.ts'
import { type Authenticate, type FindIdentity, SERVER } from '../gateway/principal.ts'
import type { Route } from '../gateway/route.ts'
import { createSessionCookie } from '../gateway/session-cookie.ts'
import type { Clock } from '../platform/clock.ts'
import type { Config } from '../platform/config.ts'
import type { Database } from '../platform/database/database.ts'
import type { Jobs } from '../platform/jobs/jobs.ts'
import type { Log } from '../platform/log.ts'
import type { Mail } from '../platform/mail/mail.ts'
import type { Outbox } from '../platform/outbox/outbox.ts'
import { accountRoutes } from './account.routes.ts'
import { createAdministrators } from './accounts/administrators.ts'
import { createEmailVerification } from './accounts/email-verification.ts'
import { createPasswordResets } from './accounts/password-resets.ts'
import { createPendingAddresses } from './accounts/pending-addresses.ts'
import { createPersonRights } from './accounts/person-rights.ts'
import { createUserImport } from './accounts/user-import.ts'
import { createUserList } from './accounts/user-list.ts'
import { createUserPasswords, randomPassword } from './accounts/user-passwords.ts'
import { createUsers } from './accounts/users.ts'
import { apiKeyRoutes } from './api-keys.routes.ts'
import { auditRoutes } from './audit.routes.ts'
import { createAudit } from './audit/audit.ts'
import { createBrowserEntry } from './browser-entry.ts'
import { emailVerificationRoutes } from './email-verification.routes.ts'
import { forwardRoutes } from './forward.routes.ts'
import { grantRoutes } from './grants.routes.ts'
import { createAccess } from './grants/access.ts'
import { accountGrantees, allGrantees, serviceAccountGrantees } from './grants/grantees.ts'
import { createGrants } from './grants/grants.ts'
import { identityRoutes } from './identities.routes.ts'
import { keyRoutes } from './keys.routes.ts'
import { activeFromMs } from './keys/key-life.ts'
import { createKeyStore } from './keys/key-store.ts'
import { createKeys } from './keys/keys.ts'
import { createSeal } from './keys/seal.ts'
import { createSecrets } from './keys/secrets.ts'
import { linkRoutes } from './links.routes.ts'
import { createApiKeyTokens } from './machines/api-key-tokens.ts'
import { looksLikeApiKey } from './machines/api-key.ts'
import { createApiKeys } from './machines/api-keys.ts'
import { createClientTokens } from './machines/client-tokens.ts'
import { createClients } from './machines/clients.ts'
import { createIntrospection } from './machines/introspection.ts'
import { createKeyUses } from './machines/key-uses.ts'
import { createServiceAccounts } from './machines/service-accounts.ts'
import { mailRoutes } from './mail.routes.ts'
import { createKeptMail } from './mail/kept-mail.ts'
import { createMailQuota } from './mail/mail-quota.ts'
import { createMailedTickets } from './mail/mailed-tickets.ts'
import { createMailings } from './mail/mailings.ts'
import { meRoutes } from './me.routes.ts'
import { oauthMetadataRoutes } from './oauth-metadata.routes.ts'
import { oauthRoutes } from './oauth.routes.ts'
import { passkeyLoginRoutes } from './passkey-logins.routes.ts'
import { passkeyRoutes } from './passkeys.routes.ts'
import { passwordResetRoutes } from './password-reset.routes.ts'
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
import { serviceAccountKeyRoutes } from './service-account-keys.routes.ts'
import { serviceAccountRoutes } from './service-accounts.routes.ts'
import { sessionRoutes } from './sessions.routes.ts'
import { createBrowserSessions } from './sessions/browser-sessions.ts'
import { createLogins } from './sessions/logins.ts'
import { createRecentLogins } from './sessions/recent-logins.ts'
import { createRefreshTokens } from './sessions/refresh-tokens.ts'
import { createReturnAddresses } from './sessions/return-addresses.ts'
import { createSessionTokens } from './sessions/session-tokens.ts'
import { createSessions } from './sessions/sessions.ts'
import { createThrottle } from './sessions/throttle.ts'
import { createTokens } from './sessions/tokens.ts'
import { createVerifiedTokens } from './sessions/verified-tokens.ts'
import { signInRoutes } from './sign-in.routes.ts'
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
import { userApiKeyRoutes } from './user-api-keys.routes.ts'
import { userImportRoutes } from './user-import.routes.ts'
import { userSecondFactorsRoutes } from './user-second-factors.routes.ts'
import { userSessionRoutes } from './user-sessions.routes.ts'
import { userRoutes } from './users.routes.ts'

export { usernameFault } from './accounts/names.ts'
export { providersFault } from './single-sign-on/provider-settings.ts'

export interface Auth {
  routes: Route[]
  authenticate: Authenticate
  authenticateCookie: Authenticate
  access: Access
  identity: FindIdentity
  /** Creates the administrator on the first start, and says how to log in when it made up a password. */
  start(): Promise<{ username: string; password: string } | undefined>
  /** Resolves when what is written beside the requests is written. */
  stop(): Promise<void>
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
  mail: Mail | undefined
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
    read: async (token) => {
      if (looksLikeApiKey(token)) return readApiKey(token)
      const good = await tokens.verify(token)
      return good.kind === 'session' ? sessionCredentialOf(good) : clientTokens.credentialOf(good)
    },
    clock,
    cacheMax: config.TOKEN_CACHE_MAX,
  })
  /** After what ended sessions of an account, or changed what it may do. */
  const forget = (identityId: string) => {
    verified.forget(identityId)
    verifiedCookies.forget(identityId)
  }
  const rights = createPersonRights({ database, tables, policy: config.SECOND_FACTOR })
  const sessionCredentialOf = createSessionTokens({ database, tables, keys, rights, clock })
  const keyUses = createKeyUses({ database, tables, clock, log })
  const apiKeys = createApiKeys({
    database,
    tables,
    rights,
    audit,
    clock,
    perOwnerMax: config.API_KEYS_PER_OWNER_MAX,
    forget,
  })
  const readApiKey = createApiKeyTokens({ apiKeys, uses: keyUses, clock })
  const clientTokens = createClientTokens({
    database,
    tables,
    tokens,
    keys,
    audit,
    clock,
    ttlSeconds: config.CLIENT_TOKEN_TTL_SECONDS,
    forget,
  })
  const clients = createClients({ database, tables, apiKeys, uses: keyUses, audit, clock })
  const introspect = createIntrospection({ verified, apiKeys, issuer: config.PUBLIC_URL })
  const secrets = createSecrets({ database, tables })
  const tickets = createTickets({ database, tables, clock })
  const refreshTokens = createRefreshTokens(secrets)
  const refreshedSeconds = config.REFRESHED_TOKEN_TTL_SECONDS
  const sessions = createSessions({
    database,
    tables,
    tokens,
    refreshTokens,
    rights,
    audit,
    clock,
    loginSeconds: config.LOGIN_TOKEN === 'short' ? refreshedSeconds : config.TOKEN_TTL_SECONDS,
    refreshedSeconds,
    ttlSeconds: config.SESSION_TTL_SECONDS,
    idleSeconds: config.SESSION_IDLE_SECONDS,
    perAccountMax: config.SESSIONS_PER_ACCOUNT_MAX,
    forget,
  })
  const browserSessions = createBrowserSessions({
    database,
    tables,
    sessions,
    rights,
    clock,
    log,
    idleSeconds: config.SESSION_IDLE_SECONDS,
  })
  // Beside that of the tokens, so that neither a token is taken for a cookie nor a cookie for a token.
  const verifiedCookies = createVerifiedTokens({
    read: browserSessions.read,
    clock,
    cacheMax: config.TOKEN_CACHE_MAX,
  })
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
  const keptMail = createKeptMail({
    database,
    tables,
    seal: createSeal(secrets, 'mail'),
    audit,
    clock,
    messagesMax: config.MAIL_KEPT_MAX,
  })
  const quota = createMailQuota({ ...deps, tables, lettersMax: config.MAILS_PER_ACCOUNT_MAX })
  const mailedTickets = createMailedTickets({ database, tables, tickets, audit })
  const mailings = createMailings({
    ...deps,
    tables,
    mailedTickets,
    audit,
    quota,
    mail: deps.mail ?? keptMail,
    isKept: deps.mail === undefined,
    publicUrl,
  })
  const throttle = createThrottle({
    database,
    tables,
    secrets,
    clock,
    failuresMax: config.LOGIN_FAILURES_MAX,
    failuresPerAddressMax: config.LOGIN_FAILURES_PER_ADDRESS_MAX,
    holdSecondsMax: config.LOGIN_HOLD_SECONDS,
    queueMax: config.PASSWORD_QUEUE_MAX,
    rowsMax: config.LOGIN_THROTTLES_MAX,
  })
  const common = {
    database,
    tables,
    passwords,
    sessions,
    mailedTickets,
    mailings,
    throttle,
    audit,
    clock,
    forget,
    secondFactors,
    pendingAddresses: createPendingAddresses({ database, tables, mailings, clock }),
    isMailed: deps.mail !== undefined,
    requiresVerified:
      (config.UNVERIFIED_LOGIN ?? (deps.mail === undefined ? 'allow' : 'refuse')) === 'refuse',
  }
  const logins = createLogins({ ...common, secondFactorTickets, log })
  const administrators = createAdministrators(common)
  const access = createAccess({ database, tables, clock })
  const grantees = allGrantees([
    accountGrantees({ database, tables, rights }),
    serviceAccountGrantees({ database, tables }),
  ])
  const grants = createGrants({ database, tables, access, grantees, audit })
  const users = createUsers({ ...common, administrators, grants })
  const userPasswords = createUserPasswords(common)
  const userImport = createUserImport(common)
  const userList = createUserList(common)
  const passwordResets = createPasswordResets(common)
  const emailVerification = createEmailVerification(common)
  const serviceAccounts = createServiceAccounts({ ...common, grants })

  const cookie = createSessionCookie({
    publicUrl: config.PUBLIC_URL,
    domain: config.COOKIE_DOMAIN,
  })
  const returns = createReturnAddresses(config.FORWARD_AUTH_ORIGINS)
  const ttlSeconds = config.SESSION_TTL_SECONDS

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
  const entry = createBrowserEntry({ browserSessions, returns, cookie, ttlSeconds })
  const browserSecret = createBrowserSecret(publicUrl)
  const signOnDeps = { providers, signOns, browserSecret, publicUrl }

  const upkeep = (type: string, pattern: string, run: () => Promise<void>) => {
    jobs.handle(type, { run })
    jobs.schedule(type, pattern, { type, key: type, payload: {} })
  }
  upkeep('keys.maintain', '37 * * * *', () => keyStore.maintain())
  upkeep('sessions.expire', '17 * * * *', () => sessions.removeExpired())
  upkeep('tickets.expire', '27 * * * *', () => tickets.removeExpired())
  upkeep('throttles.expire', '*/10 * * * *', () => throttle.removeExpired())
  upkeep('mail.expire', '7 * * * *', () => keptMail.removeExpired())
  upkeep('signups.expire', '57 * * * *', () => users.removePending())
  upkeep('pending-addresses.expire', '57 * * * *', () => common.pendingAddresses.removeExpired())
  upkeep('client-tokens.expire', '7 * * * *', () => clientTokens.removeExpired())
  upkeep('audit.expire', '47 3 * * *', () => audit.removeExpired())

  return {
    routes: [
      ...tokenRoutes({ logins, sessions, verified }),
      ...sessionRoutes(sessions),
      ...secondFactorRoutes(secondFactorLogins),
      ...passkeyLoginRoutes(passkeyLogins),
      ...signupRoutes({ ...common, users, isOpen: config.SIGNUP === 'open' }),
      ...passwordResetRoutes(passwordResets),
      ...emailVerificationRoutes(emailVerification),
      ...mailRoutes(keptMail),
      ...linkRoutes({ passwordResets, emailVerification }),
      ...singleSignOnRoutes({ ...signOnDeps, finish: finishByCode(signOns) }),
      ...identityRoutes({ ...signOnDeps, identities }),
      ...meRoutes({ users, userPasswords }),
      ...secondFactorsRoutes({ secondFactors, recentLogins }),
      ...passkeyRoutes({ secondFactors, ceremonies, recentLogins }),
      ...userImportRoutes({ userImport, usersMax: config.IMPORT_USERS_MAX }),
      ...userSessionRoutes({ users, sessions }),
      ...userSecondFactorsRoutes({ users, secondFactors }),
      ...userApiKeyRoutes({ users, apiKeys }),
      ...userRoutes({ users, userList, userPasswords }),
      ...grantRoutes({ grants, access }),
      ...apiKeyRoutes({ apiKeys, recentLogins, clock }),
      ...serviceAccountRoutes(serviceAccounts),
      ...serviceAccountKeyRoutes({ apiKeys, serviceAccounts, recentLogins, clock }),
      ...oauthRoutes({ clients, clientTokens, introspect, tokens }),
      ...oauthMetadataRoutes(config.PUBLIC_URL),
      ...auditRoutes(audit),
      ...signInRoutes({
        logins,
        secondFactorLogins,
        entry,
        returns,
        providers: [...providers.values()],
      }),
      ...accountRoutes({ users, sessions }),
      ...forwardRoutes({ returns, publicUrl: config.PUBLIC_URL }),
      ...keyRoutes(keys),
    ],
    authenticate: verified.authenticate,
    authenticateCookie: verifiedCookies.authenticate,
    access,
    identity: grantees.identity,
    async start() {
      await keys.signing()
      await secrets.ensure()
      const password = config.ADMIN_PASSWORD ?? randomPassword()
      const created = await administrators.createFirst(config.ADMIN_USERNAME, password)
      if (created === undefined || config.ADMIN_PASSWORD !== undefined) return undefined
      return { username: created.username, password }
    },
    stop: () => keyUses.settled(),
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
