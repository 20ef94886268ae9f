import { and, eq, exists, inArray, or, sql } from 'drizzle-orm'

import { type Access, reachesAll, type Resource, type ResourceKind } from '../../gateway/access.ts'
import { isIdentity } from '../../gateway/principal.ts'
import type { Clock } from '../../platform/clock.ts'
import type { Database } from '../../platform/database/database.ts'
import { createRemembered, type Remembered } from '../../platform/remembered.ts'
import type { AuthTables } from '../tables.ts'
import { permits, type Share, shareOf, TEAM } from './share.ts'

/** Of each kind. A share takes some hundred bytes, and a few thousand where many are named. */
const REMEMBERED_MAX = 10_000

export interface SharedAccess extends Access {
  /** The names of all that were defined. */
  kinds(): string[]
  /** What was defined by that name. */
  kind(name: string): ResourceKind | undefined
  /** Forgets what is remembered of a resource. Call it after the commit. */
  forget(resource: Resource): void
}

interface Known {
  kind: ResourceKind
  shares: Remembered<Share>
}

/** Answers from what is remembered of each resource's grants, so that a prediction need not wait. */
export function createAccess(deps: {
  database: Database
  tables: AuthTables
  clock: Clock
}): SharedAccess {
  const { database, clock } = deps
  const { grants } = deps.tables
  const kinds = new Map<string, Known>()

  const ofResource = database.read
    .select({ principalId: grants.principalId, access: grants.access })
    .from(grants)
    .where(
      and(eq(grants.kind, sql.placeholder('kind')), eq(grants.resourceId, sql.placeholder('id'))),
    )
    .prepare('grants_of_resource')

  function known(name: string): Known {
    const found = kinds.get(name)
    if (found === undefined) throw new Error(`nobody has said what a ${name} is`)
    return found
  }

  const mayAccess: Access['mayAccess'] = (principal, action, { kind, id }) => {
    const share = known(kind).shares.get(id)
    return share instanceof Promise
      ? share.then((read) => permits(read, principal, action))
      : permits(share, principal, action)
  }

  return {
    define(kind) {
      const { kind: name, team } = kind
      const shares = createRemembered<Share>({
        read: async (id) => shareOf(await ofResource.execute({ kind: name, id }), team),
        clock,
        max: REMEMBERED_MAX,
      })
      kinds.set(name, { kind, shares })
    },
    kinds: () => [...kinds.keys()],
    kind: (name) => kinds.get(name)?.kind,
    forget: ({ kind, id }) => known(kind).shares.forget(id),
    mayAccess,
    accessible(principal, action, kind) {
      const { team } = known(kind).kind
      return {
        async among(ids) {
          const answers = await Promise.all(
            ids.map(async (id) => mayAccess(principal, action, { kind, id })),
          )
          return new Set(ids.filter((_, index) => answers[index]))
        },
        where(ids) {
          if (reachesAll(principal)) return undefined
          const isKnown = isIdentity(principal)
          if (!isKnown && action === 'write') return sql`1 = 0`
          const enough = action === 'read' ? (['read', 'write'] as const) : (['write'] as const)
          const granted = (principalId: string) =>
            and(
              eq(grants.kind, kind),
              eq(grants.resourceId, ids),
              eq(grants.principalId, principalId),
            )
          const { read } = database
          const ofTeam = read.select({ access: grants.access }).from(grants).where(granted(TEAM))
          const byTeam = inArray(sql`coalesce(${ofTeam}, ${team})`, [...enough])
          if (!isKnown) return byTeam
          const own = and(granted(principal.id), inArray(grants.access, ['own', ...enough]))
          return or(
            byTeam,
            exists(
              read
                .select({ one: sql`1` })
                .from(grants)
                .where(own),
            ),
          )
        },
      }
    },
  }
}
