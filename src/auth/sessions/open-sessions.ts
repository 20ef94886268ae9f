import { and, gt, isNull, or } from 'drizzle-orm'

import { placeholder } from '../../platform/database/prepared.ts'
import type { AuthTables } from '../tables.ts'

/**
 * That a session is neither too old nor too long unused, and its account not disabled: what lets its
 * tokens and its cookie in. For a statement that is prepared, of sessions joined with accounts, with
 * the time as `now`.
 */
export const isOpen = ({ accounts, sessions }: Pick<AuthTables, 'accounts' | 'sessions'>) =>
  and(
    gt(sessions.expiresAt, placeholder('now', sessions.expiresAt)),
    or(isNull(sessions.idleUntil), gt(sessions.idleUntil, placeholder('now', sessions.idleUntil))),
    isNull(accounts.disabledAt),
  )
