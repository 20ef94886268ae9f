import { and, desc, eq, gt, inArray, isNull, lt, ne, or } from 'drizzle-orm'

import type { LoginMethod } from '../../events.ts'
import { type Actor, SERVER, stranger, userActor } from '../../gateway/principal.ts'
import type { Clock } from '../../platform/clock.ts'
import type { Database, Writes } from '../../platform/database/database.ts'
import type { User } from '../accounts/new-user.ts'
import type { PersonRights } from '../accounts/person-rights.ts'
import type { Audit } from '../audit/audit.ts'
import { authProblems } from '../problems.ts'
import type { AuthTables } from '../tables.ts'
import { hashOf, type ReadRefreshToken, type RefreshTokens } from './refresh-tokens.ts'
import type { Tokens } from './tokens.ts'

/** Several tabs may refresh at once by the same token: they all get the one that follows it. */
const REFRESH_GRACE_MS = 10_000
const DEVICE_CHARACTERS_MAX = 256

type StoredSession = AuthTables['sessions']['$inferSelect']

/** Who asks, as far as it can be seen from here. */
export interface Caller {
  address: string
  /** What it calls itself. */
  device: string | null
}

/** What a caller gets to prove itself with from now on. */
export interface IssuedTokens {
  /** For requests, a JWT. */
  token: string
  /** For the next tokens, once. */
  refreshToken: string
  /** Life of `token`. */
  expiresInSeconds: number
  sessionId: string
}

/** A session as its owner sees it. */
export type SessionView = Pick<
  StoredSession,
  'id' | 'createdAt' | 'usedAt' | 'expiresAt' | 'device' | 'address'
>

export interface Sessions {
  /**
   * Opens a session for somebody who has proved who they are by all that was asked.
   *
   * @param account as it was when they proved it.
   * @param isProved what is left to prove, in the same write, with the account locked. What it writes stays
   * when it says no.
   * @returns `undefined` where it is not so any more: it was disabled or removed, or has another password.
   */
  open(
    account: User,
    methods: LoginMethod[],
    caller: Caller,
    isProved?: (tx: Writes) => Promise<boolean>,
  ): Promise<IssuedTokens | undefined>
  /** Opens a session that can't be refreshed, for scripts that have the database. */
  openFor(account: User): Promise<string>
  /**
   * Exchanges a refresh token for the next tokens.
   *
   * @throws {Problem} 401 when it is not the next one of a session. One that was used before ends its
   * session, since either its holder or somebody else has a copy.
   */
  refresh(refreshToken: string, caller: Caller): Promise<IssuedTokens>
  /** Those of an account that are not over, the newest first. */
  list(accountId: string): Promise<SessionView[]>
  /** Ends a session. @returns whether the account had it. */
  close(accountId: string, id: string, actor: Actor): Promise<boolean>
  /** Ends all sessions of an account, but one where one is to be kept. @returns how many. */
  closeAll(accountId: string, actor: Actor, kept?: string): Promise<number>
  /** Ends all sessions of all accounts that have some now. @returns how many. */
  closeEverybodys(actor: Actor): Promise<number>
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
  rights: PersonRights
  audit: Audit
  clock: Clock
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
  const { database, tokens, refreshTokens, rights, audit, clock, forget } = deps
  const { accounts, sessions } = deps.tables
  const later = (seconds: number) => new Date(clock.now() + seconds * 1000)

  const used = ({ address, device }: Caller) => ({
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
    account: User,
    session: Partial<StoredSession> & Pick<StoredSession, 'id' | 'expiresAt'>,
    announce: (tx: Writes) => Promise<void>,
    isProved?: (tx: Writes) => Promise<boolean>,
  ): Promise<boolean> {
    return database.write(async (tx) => {
      const [now] = await database.lock(
        tx
          .select({ passwordHash: accounts.passwordHash, disabledAt: accounts.disabledAt })
          .from(accounts)
          .where(eq(accounts.id, account.id)),
      )
      if (now === undefined) return false
      if (isProved !== undefined && !(await isProved(tx))) return false
      if (now.passwordHash !== account.passwordHash || now.disabledAt !== null) return false
      await tx
        .insert(sessions)
        .values({ accountId: account.id, createdAt: new Date(clock.now()), ...session })
      await makeRoom(tx, account.id)
      await announce(tx)
      return true
    })
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
    for (const session_id of ids) {
      await audit.record(tx, SERVER, 'auth.logout', {
        user_id: accountId,
        session_id,
        reason: 'evicted',
      })
    }
  }

  /** A token never outlives its session. */
  async function sign(
    account: Pick<User, 'id' | 'username' | 'role'>,
    session: Pick<StoredSession, 'id' | 'expiresAt'>,
    seconds: number,
    algorithm?: 'ES256',
  ): Promise<{ token: string; expiresInSeconds: number }> {
    const issuedAt = Math.floor(clock.now() / 1000)
    const sessionEnd = Math.floor(session.expiresAt.getTime() / 1000)
    const expiresAt = Math.min(issuedAt + seconds, sessionEnd)
    const { id: userId, username } = account
    const scopes = await rights.of(account)
    const role = scopes.size > 0 ? account.role : undefined
    const claims = { userId, username, role, scopes, sessionId: session.id, issuedAt, expiresAt }
    return {
      token: await tokens.sign(claims, algorithm),
      expiresInSeconds: expiresAt - issuedAt,
    }
  }

  /** What follows from a refresh token that this server has issued, in one commit. */
  function rotate(read: ReadRefreshToken, nextHash: string, caller: Caller) {
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
        // Whoever it was, it is not known to be the account's owner.
        const actor = stranger(caller.address)
        await audit.record(tx, actor, 'auth.refresh_reused', { user_id: accountId, session_id: id })
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
          ...used(caller),
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

  async function closeAll(accountId: string, actor: Actor, kept = ''): Promise<number> {
    const closed = await database.write(async (tx) => {
      const rows = await tx
        .delete(sessions)
        .where(and(eq(sessions.accountId, accountId), ne(sessions.id, kept)))
        .returning({ id: sessions.id })
      for (const { id } of rows) {
        await audit.record(tx, actor, 'auth.logout', {
          user_id: accountId,
          session_id: id,
          reason: 'ended',
        })
      }
      return rows.length
    })
    forget(accountId)
    return closed
  }

  return {
    async open(account, methods, caller, isProved) {
      const session = { id: Bun.randomUUIDv7(), expiresAt: later(deps.ttlSeconds) }
      const refreshToken = await refreshTokens.first(session.id)
      const isOpen = await insert(
        account,
        { ...session, ...used(caller), refreshHash: hashOf(refreshToken) },
        (tx) => {
          const { id: user_id } = account
          const actor = userActor(account, caller.address)
          return audit.record(tx, actor, 'auth.login', { user_id, session_id: session.id, methods })
        },
        isProved,
      )
      if (!isOpen) return undefined
      const signed = await sign(account, session, deps.loginSeconds)
      return { ...signed, refreshToken, sessionId: session.id }
    },
    async openFor(account) {
      const session = { id: Bun.randomUUIDv7(), expiresAt: later(deps.loginSeconds) }
      const { id: user_id } = account
      const isOpen = await insert(account, { ...session, device: 'scripts/token' }, (tx) =>
        audit.record(tx, SERVER, 'auth.login', {
          user_id,
          session_id: session.id,
          methods: ['machine'],
        }),
      )
      if (!isOpen) throw new Error('the account was changed meanwhile')
      return (await sign(account, session, deps.loginSeconds, 'ES256')).token
    },
    async refresh(refreshToken, caller) {
      const read = await refreshTokens.read(refreshToken)
      if (read === undefined) throw badRefreshToken()
      const next = await refreshTokens.next(refreshToken)
      const outcome = await rotate(read, hashOf(next), caller)
      if (outcome === undefined) throw badRefreshToken()
      if ('reusedBy' in outcome) {
        forget(outcome.reusedBy)
        throw badRefreshToken()
      }
      const { account, session } = outcome
      const signed = await sign(account, session, deps.refreshedSeconds)
      return { ...signed, refreshToken: next, sessionId: session.id }
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
    async close(accountId, id, actor) {
      const isClosed = await database.write(async (tx) => {
        const rows = await tx
          .delete(sessions)
          .where(and(eq(sessions.id, id), eq(sessions.accountId, accountId)))
          .returning({ id: sessions.id })
        if (rows.length === 0) return false
        await audit.record(tx, actor, 'auth.logout', {
          user_id: accountId,
          session_id: id,
          reason: 'ended',
        })
        return true
      })
      if (isClosed) forget(accountId)
      return isClosed
    },
    closeAll,
    async closeEverybodys(actor) {
      const owners = await database.read.selectDistinct({ id: sessions.accountId }).from(sessions)
      let closed = 0
      // A write for each, so that nobody else's waits for all of them.
      for (const { id } of owners) closed += await closeAll(id, actor)
      return closed
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

const badRefreshToken = () =>
  authProblems.badRefreshToken({ detail: 'It was used, or its session is over. Log in again.' })
