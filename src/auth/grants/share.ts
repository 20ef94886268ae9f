import { type Action, reachesAll, type TeamAccess } from '../../gateway/access.ts'
import { isIdentity, type Principal } from '../../gateway/principal.ts'
import type { AuthTables } from '../tables.ts'

/** Stands in a grant for everybody; ids are UUIDs, so nobody is called so. */
export const TEAM = 'team'

/** Who may do what to a resource. */
export interface Share {
  /** Does what they like. None where it came from a folder, or its owner is gone. */
  ownerId: string | null
  team: TeamAccess
  named: ReadonlyMap<string, Action>
}

type Grant = Pick<AuthTables['grants']['$inferSelect'], 'principalId' | 'access'>

/** What the grants of a resource amount to. `team` is for the team where nobody has decided. */
export function shareOf(grants: readonly Grant[], team: TeamAccess): Share {
  const named = new Map<string, Action>()
  let ownerId: string | null = null
  for (const { principalId, access } of grants) {
    if (access === 'own') ownerId = principalId
    else if (principalId === TEAM) team = access
    else if (access !== 'none') named.set(principalId, access)
  }
  return { ownerId, team, named }
}

/** The grants that amount to a share. What the team may do is written down, also where it may nothing. */
export const grantsOf = ({ ownerId, team, named }: Share): Grant[] => [
  ...(ownerId === null ? [] : [{ principalId: ownerId, access: 'own' as const }]),
  { principalId: TEAM, access: team },
  ...Array.from(named, ([principalId, access]) => ({ principalId, access })),
]

/** Who has not said who they are sees what the team sees, and changes nothing. */
export function permits(share: Share, principal: Principal, action: Action): boolean {
  if (reachesAll(principal)) return true
  if (!isIdentity(principal)) return action === 'read' && includes(share.team, action)
  return (
    share.ownerId === principal.id ||
    includes(share.team, action) ||
    includes(share.named.get(principal.id), action)
  )
}

/** Who may write may read. */
const includes = (given: TeamAccess | undefined, action: Action) =>
  given === action || given === 'write'

/** What somebody may do by name. */
export const accessOf = ({ ownerId, named }: Share, id: string) =>
  ownerId === id ? ('own' as const) : (named.get(id) ?? ('none' as const))

/** Who may do something else by name than before. */
export function changedGrantees(before: Share, share: Share): string[] {
  const ids = [before, share].flatMap(({ ownerId, named }) =>
    [ownerId ?? [], ...named.keys()].flat(),
  )
  return [...new Set(ids)].filter((id) => accessOf(before, id) !== accessOf(share, id))
}
