import { and, eq, gt, isNull, or } from 'drizzle-orm'

import { problems } from '../../gateway/problems.ts'
import type { Reads } from '../../platform/database/database.ts'
import { placeholder } from '../../platform/database/prepared.ts'
import type { AuthTables } from '../tables.ts'

type Tables = Pick<AuthTables, 'accounts' | 'sessions'>

/**
 * That a session is neither too old nor too long unused, and its account not disabled: what lets its
 * tokens and its cookie in. For a statement that is prepared, of sessions joined with accounts, with
 * the time as `now`.
 */
export const isOpen = ({ accounts, sessions }: Tables) =>
  and(
    gt(sessions.expiresAt, placeholder('now', sessions.expiresAt)),
    or(isNull(sessions.idleUntil), gt(sessions.idleUntil, placeholder('now', sessions.idleUntil))),
    isNull(accounts.disabledAt),
  )

/**
 * Within a write that has the account locked, and makes another way in for its owner. Tokens are
 * believed for a second after their session has ended elsewhere: what is made meanwhile would stay.
 *
 * @throws {Problem} 401 when the session is over or the account is disabled.
 */
export async function requireOpenSession(
  tx: Reads,
  { accounts, sessions }: Tables,
  { id, sessionId }: { id: string; sessionId: string },
): Promise<void> {
  const open = await tx
    .select({ id: sessions.id })
    .from(sessions)
    .innerJoin(accounts, eq(accounts.id, sessions.accountId))
    .where(and(eq(sessions.id, sessionId), eq(sessions.accountId, id), isNull(accounts.disabledAt)))
  if (open.length === 0) throw problems.invalidToken()
}
