import { and, desc, eq, gt, inArray, isNull, lt, ne, or, sql } from 'drizzle-orm'

import type { Events } from '../../events.ts'
import { type Clock, isoTime } from '../../platform/clock.ts'
import type { Database, Writes } from '../../platform/database/database.ts'
import type { Log } from '../../platform/log.ts'
import type { Outbox } from '../../platform/outbox/outbox.ts'
import { foldName } from '../accounts/names.ts'
import { isCurrent } from '../passwords/password-hashes.ts'
import type { Passwords } from '../passwords/passwords.ts'
import { authProblems } from '../problems.ts'
import type { AuthTables } from '../tables.ts'
import { hashOf, type ReadRefreshToken, type RefreshTokens } from './refresh-tokens.ts'
import type { Tokens } from './tokens.ts'

/** Several tabs may refresh at once by the same token: they all get the one that follows it. */
const REFRESH_GRACE_MS = 10_000
const DEVICE_CHARACTERS_MAX = 256

type StoredAccount = AuthTables['accounts']['$inferSelect']
type StoredSession = AuthTables['sessions']['$inferSelect']

/** Who asks, as far as it can be seen from here. */
export interface Client {
  address: string
  /** What it calls itself. */
  device: string | null
}

/** What a client gets to prove itself with. */
export interface Grant {
  /** For requests, a JWT. */
  token: string
  /** For the next grant, once. */
  refreshToken: string
  /** Life of `token`. */
  expiresInSeconds: number
}

/** A session as its owner sees it. */
type SessionView = Pick<
  StoredSession,
  'id' | 'createdAt' | 'usedAt' | 'expiresAt' | 'device' | 'address'
>

export interface Sessions {
  /**
   * Opens a session by password. `login` is the user name or the e-mail address.
   *
   * @throws {Problem} 401, the same and after the same time whether or not the user exists; 403 when
   * the password is right and the account may not be used.
   */
  open(login: string, password: string, client: Client): Promise<Grant & { account: StoredAccount }>
  /** Opens a session for an account without its password, for scripts that have the database. */
  openFor(account: StoredAccount): Promise<string>
  /**
   * Exchanges a refresh token for the next grant.
   *
   * @throws {Problem} 401 when it is not the next one of a session. One that was used before ends its
   * session, since either its holder or somebody else has a copy.
   */
  refresh(refreshToken: string, client: Client): Promise<Grant>
  /** Those of an account that are not over, the newest first. */
  list(accountId: string): Promise<SessionView[]>
  /** Ends a session. @returns whether the account had it. */
  close(accountId: string, id: string): Promise<boolean>
  /** Ends all sessions of an account but one. */
  closeOthers(accountId: string, kept: string): Promise<void>
  /** Removes the sessions whose time is over; nobody can use them any more. */
  removeExpired(): Promise<void>
  /** Ends an account's sessions, within the caller's transaction; `except` lives on. */
  revoke(tx: Writes, accountId: string, except?: string): Promise<void>
}

export function createSessions(deps: {
  database: Database
  tables: AuthTables
  tokens: Tokens
  refreshTokens: RefreshTokens
  passwords: Passwords
  outbox: Outbox<Events>
  clock: Clock
  log: Log
  /** Life of a token from login, and from a refresh. */
  loginSeconds: number
  refreshedSeconds: number
  /** Life of a session, and of one that is not used. */
  ttlSeconds: number
  idleSeconds: number
  /** Sessions that one account may have; the oldest makes room. */
  perAccountMax: number
  /** Called after a commit that ended sessions of an account. */
  forget: (accountId: string) => void
}): Sessions {
  const { database, tokens, refreshTokens, passwords, outbox, clock, log, forget } = deps
  const { accounts, sessions } = deps.tables
  const later = (seconds: number) => new Date(clock.now() + seconds * 1000)

  const byName = database.read
    .select()
    .from(accounts)
    .where(
      or(
        eq(accounts.usernameFolded, sql.placeholder('name')),
        eq(accounts.emailFolded, sql.placeholder('name')),
      ),
    )
    .limit(1)
    .prepare('account_by_name')

  const used = ({ address, device }: Client) => ({
    usedAt: new Date(clock.now()),
    idleUntil: later(deps.idleSeconds),
    address,
    device: device?.slice(0, DEVICE_CHARACTERS_MAX) ?? null,
  })

  /**
   * @param announce adds to the write what the world is to hear of it.
   * @returns false when the account's hash is not the given one any more, or it may not be used.
   */
  async function insert(
    account: StoredAccount,
    session: Partial<StoredSession> & Pick<StoredSession, 'id' | 'expiresAt'>,
    announce?: (tx: Writes) => Promise<void>,
  ): Promise<boolean> {
    return database.write(async (tx) => {
      const unchanged = await database.lock(
        tx
          .select({ id: accounts.id })
          .from(accounts)
          .where(
            and(
              eq(accounts.id, account.id),
              eq(accounts.passwordHash, account.passwordHash),
              isNull(accounts.disabledAt),
            ),
          ),
      )
      if (unchanged.length === 0) return false
      await tx
        .insert(sessions)
        .values({ accountId: account.id, createdAt: new Date(clock.now()), ...session })
      await makeRoom(tx, account.id)
      await announce?.(tx)
      return true
    })
  }

  /** A login that succeeded stays one: what fails here is tried again at the next. */
  async function renewHash({ id, passwordHash: known }: StoredAccount, password: string) {
    if (isCurrent(known)) return
    try {
      const passwordHash = await passwords.hash(password)
      await database.write(async (tx) => {
        await tx
          .update(accounts)
          .set({ passwordHash })
          .where(and(eq(accounts.id, id), eq(accounts.passwordHash, known)))
      })
    } catch (error) {
      log.warn({ error }, 'an imported password hash could not be replaced')
    }
  }

  async function makeRoom(tx: Writes, accountId: string): Promise<void> {
    const surplus = await tx
      .select({ id: sessions.id })
      .from(sessions)
      .where(eq(sessions.accountId, accountId))
      .orderBy(desc(sessions.createdAt), desc(sessions.id))
      .limit(deps.perAccountMax)
      .offset(deps.perAccountMax)
    if (surplus.length === 0) return
    const ids = surplus.map(({ id }) => id)
    await tx.delete(sessions).where(inArray(sessions.id, ids))
  }

  /** A token never outlives its session. */
  async function sign(
    account: Pick<StoredAccount, 'id' | 'username' | 'role'>,
    session: Pick<StoredSession, 'id' | 'expiresAt'>,
    seconds: number,
    algorithm?: 'ES256',
  ): Promise<{ token: string; expiresInSeconds: number }> {
    const issuedAt = Math.floor(clock.now() / 1000)
    const sessionEnd = Math.floor(session.expiresAt.getTime() / 1000)
    const expiresAt = Math.min(issuedAt + seconds, sessionEnd)
    const { id: userId, username, role } = account
    const claims = { userId, username, role, sessionId: session.id, issuedAt, expiresAt }
    return {
      token: await tokens.sign(claims, algorithm),
      expiresInSeconds: expiresAt - issuedAt,
    }
  }

  /** What follows from a refresh token that this server has issued, in one commit. */
  function rotate(read: ReadRefreshToken, nextHash: string, client: Client) {
    const now = clock.now()
    return database.write(async (tx) => {
      const [session] = await database.lock(
        tx.select().from(sessions).where(eq(sessions.id, read.sessionId)),
      )
      if (session === undefined || isOver(session, now)) return undefined
      const isNext = session.refreshHash === read.hash
      const isParent =
        session.parentHash === read.hash &&
        now - (session.rotatedAt?.getTime() ?? 0) < REFRESH_GRACE_MS
      if (!isNext && !isParent) {
        await tx.delete(sessions).where(eq(sessions.id, session.id))
        const { accountId, id } = session
        const event = { user_id: accountId, session_id: id, time: isoTime(now) }
        await outbox.add(tx, 'auth.refresh_reused', event)
        return { reusedBy: accountId }
      }
      const [account] = await tx
        .select()
        .from(accounts)
        .where(and(eq(accounts.id, session.accountId), isNull(accounts.disabledAt)))
      if (account === undefined) return undefined
      await tx
        .update(sessions)
        .set({
          ...used(client),
          ...(isNext
            ? { refreshHash: nextHash, parentHash: read.hash, rotatedAt: new Date(now) }
            : {}),
        })
        .where(eq(sessions.id, session.id))
      return { session, account }
    })
  }

  const notOver = () => {
    const now = new Date(clock.now())
    return and(
      gt(sessions.expiresAt, now),
      or(isNull(sessions.idleUntil), gt(sessions.idleUntil, now)),
    )
  }

  return {
    async open(login, password, client) {
      for (;;) {
        const [account] = await byName.execute({ name: foldName(login) })
        const isRight = await passwords.verify(password, account?.passwordHash)
        if (account === undefined || !isRight) throw badCredentials()
        if (account.disabledAt !== null) throw authProblems.accountDisabled()
        const session = { id: Bun.randomUUIDv7(), expiresAt: later(deps.ttlSeconds) }
        const refreshToken = await refreshTokens.first(session.id)
        const event = { user_id: account.id, time: isoTime(clock.now()) }
        const isOpen = await insert(
          account,
          { ...session, ...used(client), refreshHash: hashOf(refreshToken) },
          (tx) => outbox.add(tx, 'auth.login', event),
        )
        // Else it was disabled meanwhile, or its hash replaced: by another password, or by another
        // login that renewed it.
        if (isOpen) {
          await renewHash(account, password)
          return { ...(await sign(account, session, deps.loginSeconds)), refreshToken, account }
        }
      }
    },
    async openFor(account) {
      const session = { id: Bun.randomUUIDv7(), expiresAt: later(deps.loginSeconds) }
      if (!(await insert(account, session))) throw badCredentials()
      return (await sign(account, session, deps.loginSeconds, 'ES256')).token
    },
    async refresh(refreshToken, client) {
      const read = await refreshTokens.read(refreshToken)
      if (read === undefined) throw badRefreshToken()
      const next = await refreshTokens.next(refreshToken)
      const outcome = await rotate(read, hashOf(next), client)
      if (outcome === undefined) throw badRefreshToken()
      if ('reusedBy' in outcome) {
        forget(outcome.reusedBy)
        throw badRefreshToken()
      }
      const { account, session } = outcome
      return { ...(await sign(account, session, deps.refreshedSeconds)), refreshToken: next }
    },
    async list(accountId) {
      return database.read
        .select({
          id: sessions.id,
          createdAt: sessions.createdAt,
          usedAt: sessions.usedAt,
          expiresAt: sessions.expiresAt,
          device: sessions.device,
          address: sessions.address,
        })
        .from(sessions)
        .where(and(eq(sessions.accountId, accountId), notOver()))
        .orderBy(desc(sessions.createdAt), desc(sessions.id))
        .limit(deps.perAccountMax)
    },
    async close(accountId, id) {
      const isClosed = await database.write(async (tx) => {
        const rows = await tx
          .delete(sessions)
          .where(and(eq(sessions.id, id), eq(sessions.accountId, accountId)))
          .returning({ id: sessions.id })
        if (rows.length === 0) return false
        const event = { user_id: accountId, session_id: id, time: isoTime(clock.now()) }
        await outbox.add(tx, 'auth.logout', event)
        return true
      })
      if (isClosed) forget(accountId)
      return isClosed
    },
    async closeOthers(accountId, kept) {
      await database.write(async (tx) => {
        const rows = await tx
          .delete(sessions)
          .where(and(eq(sessions.accountId, accountId), ne(sessions.id, kept)))
          .returning({ id: sessions.id })
        for (const { id } of rows) {
          const event = { user_id: accountId, session_id: id, time: isoTime(clock.now()) }
          await outbox.add(tx, 'auth.logout', event)
        }
      })
      forget(accountId)
    },
    async removeExpired() {
      const now = new Date(clock.now())
      await database.write(async (tx) => {
        await tx
          .delete(sessions)
          .where(or(lt(sessions.expiresAt, now), lt(sessions.idleUntil, now)))
      })
    },
    async revoke(tx, accountId, except = '') {
      await tx
        .delete(sessions)
        .where(and(eq(sessions.accountId, accountId), ne(sessions.id, except)))
    },
  }
}

const isOver = ({ expiresAt, idleUntil }: StoredSession, now: number) =>
  expiresAt.getTime() <= now || (idleUntil !== null && idleUntil.getTime() <= now)

const badCredentials = () =>
  authProblems.badCredentials({ detail: 'The user name or the password is wrong.' })

const badRefreshToken = () =>
  authProblems.badRefreshToken({ detail: 'It was used, or its session is over. Log in again.' })
