import type { Access, Ownership } from '../gateway/access.ts'
import {
  type Authenticate,
  type FindIdentity,
  SERVER,
  type TellRefused,
} from '../gateway/principal.ts'
import type { Problem } from '../gateway/problem.ts'
import type { Route } from '../gateway/route.ts'
import { StartError } from '../platform/start-error.ts'
import { accountByName } from './accounts/account-by-name.ts'
import { isAdministrator } from './accounts/administrators.ts'
import { randomPassword } from './accounts/user-passwords.ts'
import { activeFromMs } from './keys/key-life.ts'
import { refusalPage } from './pages/refusal.tsx'
import { type AuthDeps, createAuthParts } from './parts.ts'
import { authRoutes } from './routes.ts'

export { usernameFault } from './accounts/names.ts'
export { providersFault } from './single-sign-on/provider-settings.ts'

export interface Auth {
  routes: Route[]
  authenticate: Authenticate
  authenticateCookie: Authenticate
  tellRefused: TellRefused
  /** A refusal as the pages for people tell it. */
  refusalPage: (problem: Problem) => Response
  access: Access
  ownership: Ownership
  identity: FindIdentity
  /** Creates the administrator on the first start, and says how to log in when it made up a password. */
  start(): Promise<{ username: string; password: string } | undefined>
  /** Resolves when what is written beside the requests is written. */
  stop(): Promise<void>
  /** Of the first administrator that may log in, once there is one. */
  administratorId(): Promise<string | null>
  /** A token for the first administrator, always by the key in the database. */
  administratorToken(): Promise<string>
  /**
   * Sets a new random password for an administrator, removes its second factors and ends its sessions.
   *
   * @param name of the first one that may be used, unless given.
   * @throws {StartError} where it is no administrator's that may be used.
   */
  resetAdministrator(name?: string): Promise<{ username: string; password: string }>
  /**
   * Ends all sessions of a user, or of everybody: tokens, refresh tokens and cookies are refused from
   * now on, by other processes within a second.
   *
   * @throws {StartError} where there is no such user.
   * @returns how many.
   */
  endSessions(of: { username: string } | 'everybody'): Promise<number>
  /**
   * Makes the key that signs next, unless one waits already. With `isCompromised` it signs at once,
   * all others are removed, and the tokens that they signed are refused.
   *
   * @returns whether the key is new, or waited already.
   * @throws {StartError} for a compromised one where a secret signs the tokens.
   */
  rotateKeys(options: {
    isCompromised: boolean
  }): Promise<{ id: string; activeFrom: Date; isNew: boolean }>
}

/** Who you are: users, sessions, tokens and the keys that sign them. */
export function createAuth(deps: AuthDeps): Auth {
  const { config, jobs } = deps
  const parts = createAuthParts(deps)
  const { administrators, keyStore, sessions, userPasswords } = parts

  const upkeep = (type: string, pattern: string, run: () => Promise<void>) => {
    jobs.handle(type, { run })
    jobs.schedule(type, pattern, { type, key: type, payload: {} })
  }
  upkeep('keys.maintain', '37 * * * *', () => keyStore.maintain())
  upkeep('sessions.expire', '17 * * * *', () => sessions.removeExpired())
  upkeep('tickets.expire', '27 * * * *', () => parts.tickets.removeExpired())
  upkeep('throttles.expire', '*/10 * * * *', () => parts.throttle.removeExpired())
  upkeep('mail.expire', '7 * * * *', () => parts.keptMail.removeExpired())
  upkeep('signups.expire', '57 * * * *', () => parts.signUps.removeExpired())
  upkeep('pending-addresses.expire', '57 * * * *', () => parts.pendingAddresses.removeExpired())
  upkeep('client-tokens.expire', '7 * * * *', () => parts.clientTokens.removeExpired())
  upkeep('audit.expire', '47 3 * * *', () => parts.audit.removeExpired())

  async function firstAdministrator() {
    const account = await administrators.first()
    if (account === undefined) throw new Error('there is no administrator yet')
    return account
  }

  async function administratorNamed(name: string | undefined) {
    if (name === undefined) return firstAdministrator()
    const account = await accountByName(parts, name)
    if (isAdministrator(account)) return account
    throw new StartError(`"${account.username}" is no administrator, or may not log in now.`)
  }

  return {
    routes: authRoutes(parts, config),
    authenticate: parts.verified.authenticate,
    authenticateCookie: parts.verifiedCookies.authenticate,
    tellRefused: parts.refusedAccess.tell,
    refusalPage,
    access: parts.access,
    ownership: parts.ownership,
    identity: parts.grantees.identity,
    async start() {
      await parts.keys.signing()
      await parts.secrets.ensure()
      const password = config.ADMIN_PASSWORD ?? randomPassword()
      const created = await administrators.createFirst(config.ADMIN_USERNAME, password)
      if (created === undefined || config.ADMIN_PASSWORD !== undefined) return undefined
      return { username: created.username, password }
    },
    async stop() {
      await parts.keyUses.settled()
      await parts.refusedAccess.settled()
    },
    administratorId: async () => (await administrators.first())?.id ?? null,
    administratorToken: async () => sessions.openFor(await firstAdministrator()),
    async resetAdministrator(name) {
      const password = randomPassword()
      const { id, username } = await administratorNamed(name)
      await userPasswords.reset(id, password, SERVER)
      await parts.secondFactors.removeAll(id, SERVER)
      return { username, password }
    },
    async endSessions(of) {
      if (of === 'everybody') return sessions.closeEverybodys(SERVER)
      return sessions.closeAll((await accountByName(parts, of.username)).id, SERVER)
    },
    async rotateKeys({ isCompromised }) {
      if (isCompromised && config.JWT_SECRET !== undefined) {
        throw new StartError(
          'JWT_SECRET signs the tokens, and no key here voids them: change JWT_SECRET and restart every instance.',
        )
      }
      const before = await keyStore.all()
      const key = await (isCompromised ? keyStore.replaceAll() : keyStore.rotate())
      const isNew = before.every(({ id }) => id !== key.id)
      return { id: key.id, activeFrom: new Date(activeFromMs(key)), isNew }
    },
  }
}
