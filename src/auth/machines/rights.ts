import { invalid, problems } from '../../gateway/problems.ts'
import type { Scope } from '../../gateway/scopes.ts'

/**
 * Refuses rights that the giver lacks, and so could take by giving them to a program.
 *
 * @param had by who is given them, so that they are no gift.
 * @throws {Problem} 422 naming them.
 */
export function requireScopes(
  asked: readonly Scope[],
  giver: ReadonlySet<Scope>,
  had: readonly Scope[] = [],
): void {
  const lacked = asked.filter((scope) => !giver.has(scope) && !had.includes(scope))
  if (lacked.length === 0) return
  throw invalid([{ path: ['scopes'], detail: `you may not give ${lacked.join(', ')}` }])
}

/**
 * Who lets a program in again, or removes it, may do all that it may: else a key that may only administer
 * programs would give rights back that it lacks.
 *
 * @throws {Problem} 403 naming what is lacked.
 */
export function requireReach(
  { scopes }: { scopes: readonly Scope[] },
  by: { scopes: ReadonlySet<Scope> },
): void {
  const lacked = scopes.filter((scope) => !by.scopes.has(scope))
  if (lacked.length === 0) return
  throw problems.forbidden({
    detail: `Of what the service account may do, you may not: ${lacked.join(', ')}.`,
  })
}

/**
 * Refuses scopes of a key that its owner does not have.
 *
 * @throws {Problem} 422 naming them.
 */
export function requireOwned(asked: readonly Scope[], owned: readonly Scope[]): void {
  const lacked = asked.filter((scope) => !owned.includes(scope))
  if (lacked.length === 0) return
  throw invalid([{ path: ['scopes'], detail: `the owner does not have ${lacked.join(', ')}` }])
}

/** @throws {Problem} 422 where it is over already. */
export function expiryOf(text: string | null | undefined, now: number): Date | null {
  if (text === null || text === undefined) return null
  const time = new Date(text)
  if (time.getTime() > now) return time
  throw invalid([{ path: ['expires_at'], detail: 'expected a time to come' }])
}
