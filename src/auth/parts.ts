import type { Events } from '../events.ts'
import { createSessionCookie } from '../gateway/session-cookie.ts'
import type { Clock } from '../platform/clock.ts'
import type { Config } from '../platform/config.ts'
import type { Database } from '../platform/database/database.ts'
import type { Jobs } from '../platform/jobs/jobs.ts'
import type { Log } from '../platform/log.ts'
import type { Mail } from '../platform/mail/mail.ts'
import type { Outbox } from '../platform/outbox/outbox.ts'
import { createAdministrators } from './accounts/administrators.ts'
import { createCredentials } from './accounts/credentials.ts'
import { createEmailVerification } from './accounts/email-verification.ts'
import { createPasswordResets } from './accounts/password-resets.ts'
import { createPendingAddresses } from './accounts/pending-addresses.ts'
import { createPersonRights } from './accounts/person-rights.ts'
import { createSignUps } from './accounts/sign-ups.ts'
import { createUserImport } from './accounts/user-import.ts'
import { createUserList } from './accounts/user-list.ts'
import { createUserPasswords } from './accounts/user-passwords.ts'
import { createUsers } from './accounts/users.ts'
import { createWaysToLogIn } from './accounts/ways-to-log-in.ts'
import { createAudit } from './audit/audit.ts'
import { createRefusedAccess } from './audit/refused-access.ts'
import { createBrowserEntry } from './browser-entry.ts'
import { createAccess } from './grants/access.ts'
import { accountGrantees, allGrantees, serviceAccountGrantees } from './grants/grantees.ts'
import { createGrants } from './grants/grants.ts'
import { createOwnership } from './grants/ownership.ts'
import { createKeyStore } from './keys/key-store.ts'
import { createKeys } from './keys/keys.ts'
import { createSecrets } from './keys/secrets.ts'
import { looksLikeApiKey } from './machines/api-key.ts'
import { createIntrospection } from './machines/introspection.ts'
import { createMachineParts } from './machines/machine-parts.ts'
import { createMailParts } from './mail/mail-parts.ts'
import { createPasswords } from './passwords/passwords.ts'
import { createSecondFactorParts } from './second-factors/second-factor-parts.ts'
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
import { createSignInPages } from './sign-in-pages.ts'
import { readProviders } from './single-sign-on/provider-settings.ts'
import { createSingleSignOnParts } from './single-sign-on/single-sign-on-parts.ts'
import { authTables } from './tables.ts'
import { createTickets } from './tickets/tickets.ts'

export interface AuthDeps {
  config: Config
  database: Database
  outbox: Outbox<Events>
  jobs: Jobs
  clock: Clock
  log: Log
  mail: Mail | undefined
}

export type AuthParts = ReturnType<typeof createAuthParts>

/** All that auth is made of, each built of those before it. */
export function createAuthParts(deps: AuthDeps) {
  const { config, database, clock } = deps
  const publicUrl = config.PUBLIC_URL
  const tables = authTables(database.kit)
  const audit = createAudit({ ...deps, tables, ttlSeconds: config.AUDIT_TTL_SECONDS })
  const given = { ...deps, tables, audit, publicUrl }
  /** After what ended sessions of somebody, or changed what they may do. */
  const forget = (identityId: string) => {
    verified.forget(identityId)
    verifiedCookies.forget(identityId)
  }

  const keyStore = createKeyStore({ ...given, rotationSeconds: config.KEY_ROTATION_SECONDS })
  const keys = createKeys({ store: keyStore, clock })
  const secrets = createSecrets(given)
  const tickets = createTickets(given)
  const passwords = createPasswords({
    queueMax: config.PASSWORD_QUEUE_MAX,
    words: config.PASSWORD_WORDS,
  })
  const tokens = createTokens({ keys, issuer: publicUrl, secret: config.JWT_SECRET, clock })

  const rights = createPersonRights({ ...given, policy: config.SECOND_FACTOR })
  const access = createAccess(given)
  const grantees = allGrantees([
    accountGrantees({ ...given, rights }),
    serviceAccountGrantees(given),
  ])
  const grants = createGrants({ ...given, access, grantees })
  const ownership = createOwnership({ ...given, access, grantees })

  const machines = createMachineParts({ ...given, tokens, keys, rights, grants, forget })
  const sessionCredentialOf = createSessionTokens({ ...given, keys, rights })
  const verified = createVerifiedTokens({
    read: async (token) => {
      if (looksLikeApiKey(token)) return machines.readApiKey(token)
      const good = await tokens.verify(token)
      return good.kind === 'session'
        ? sessionCredentialOf(good)
        : machines.clientTokens.credentialOf(good)
    },
    clock,
    cacheMax: config.TOKEN_CACHE_MAX,
  })
  const introspect = createIntrospection({ ...machines, verified, issuer: publicUrl })

  const refreshedSeconds = config.REFRESHED_TOKEN_TTL_SECONDS
  const sessions = createSessions({
    ...given,
    tokens,
    refreshTokens: createRefreshTokens(secrets),
    rights,
    loginSeconds: config.LOGIN_TOKEN === 'short' ? refreshedSeconds : config.TOKEN_TTL_SECONDS,
    refreshedSeconds,
    ttlSeconds: config.SESSION_TTL_SECONDS,
    idleSeconds: config.SESSION_IDLE_SECONDS,
    perAccountMax: config.SESSIONS_PER_ACCOUNT_MAX,
    forget,
  })
  const idleSeconds = config.SESSION_IDLE_SECONDS
  const browserSessions = createBrowserSessions({ ...given, sessions, rights, idleSeconds })
  // Beside that of the tokens, so that neither a token is taken for a cookie nor a cookie for a token.
  const verifiedCookies = createVerifiedTokens({
    read: browserSessions.read,
    clock,
    cacheMax: config.TOKEN_CACHE_MAX,
  })

  const throttle = createThrottle({
    ...given,
    secrets,
    failuresMax: config.LOGIN_FAILURES_MAX,
    failuresPerAddressMax: config.LOGIN_FAILURES_PER_ADDRESS_MAX,
    holdSecondsMax: config.LOGIN_HOLD_SECONDS,
    queueMax: config.PASSWORD_QUEUE_MAX,
    rowsMax: config.LOGIN_THROTTLES_MAX,
  })

  const settings = readProviders(config.SSO_PROVIDERS)
  const waysToLogIn = createWaysToLogIn({ tables, providerIds: settings.map(({ id }) => id) })
  const proofs = { ...given, sessions, tickets, waysToLogIn, forget }
  const secondFactors = createSecondFactorParts({ ...proofs, throttle, secrets })
  const mail = createMailParts({ ...given, tickets, secrets })
  const isMailed = deps.mail !== undefined
  const people = {
    ...given,
    ...secondFactors,
    credentials: createCredentials({ ...given, ...secondFactors }),
    mailedTickets: mail.mailedTickets,
    mailings: mail.mailings,
    passwords,
    sessions,
    throttle,
    grants,
    forget,
    pendingAddresses: createPendingAddresses({ ...given, mailings: mail.mailings }),
    isMailed,
    requiresVerified: (config.UNVERIFIED_LOGIN ?? (isMailed ? 'refuse' : 'allow')) === 'refuse',
  }
  const administrators = createAdministrators(people)
  const userPasswords = createUserPasswords(people)
  const returns = createReturnAddresses(config.FORWARD_AUTH_ORIGINS)
  const cookie = createSessionCookie({ publicUrl, domain: config.COOKIE_DOMAIN })
  const entry = createBrowserEntry({
    browserSessions,
    authenticate: verifiedCookies.authenticate,
    returns,
    cookie,
    ttlSeconds: config.SESSION_TTL_SECONDS,
  })
  const singleSignOn = createSingleSignOnParts({ ...people, ...proofs, settings, administrators })

  return {
    ...people,
    ...machines,
    ...singleSignOn,
    refusedAccess: createRefusedAccess(given),
    keptMail: mail.keptMail,
    keyStore,
    keys,
    secrets,
    tickets,
    tokens,
    access,
    ownership,
    grantees,
    verified,
    verifiedCookies,
    introspect,
    administrators,
    signUps: createSignUps(people),
    users: createUsers({ ...people, administrators }),
    userPasswords,
    userImport: createUserImport(people),
    userList: createUserList(people),
    passwordResets: createPasswordResets(people),
    emailVerification: createEmailVerification({ ...people, userPasswords }),
    logins: createLogins(people),
    recentLogins: createRecentLogins(people),
    returns,
    entry,
    signInPages: createSignInPages({
      ...secondFactors,
      returns,
      providers: [...singleSignOn.providers.values()],
      isSignUpOpen: config.SIGNUP === 'open',
    }),
  }
}
