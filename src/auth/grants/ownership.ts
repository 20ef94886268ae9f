import { and, eq, inArray } from 'drizzle-orm'

import type { Ownership, Resource } from '../../gateway/access.ts'
import type { Database } from '../../platform/database/database.ts'
import type { AuthTables } from '../tables.ts'
import type { SharedAccess } from './access.ts'
import type { Grantees } from './grantees.ts'
import { TEAM } from './share.ts'

/** An owner is a grant like any other, of which each resource has one at most. */
export function createOwnership(deps: {
  database: Database
  tables: AuthTables
  access: SharedAccess
  grantees: Grantees
}): Ownership {
  const { database, access, grantees } = deps
  const { grants } = deps.tables

  const ofResource = ({ kind, id }: Resource) =>
    and(eq(grants.kind, kind), eq(grants.resourceId, id))

  return {
    async begin(tx, resource, { ownerId, team }) {
      const { kind, id: resourceId } = resource
      const known = await tx.select().from(grants).where(ofResource(resource))
      const has = (isSo: (grant: (typeof known)[number]) => boolean) => known.some(isSo)
      if (ownerId !== null && !has((grant) => grant.access === 'own')) {
        // Who owns it needs no other right to it.
        await tx.delete(grants).where(and(ofResource(resource), eq(grants.principalId, ownerId)))
        await tx.insert(grants).values({ kind, resourceId, principalId: ownerId, access: 'own' })
      }
      if (!has(({ principalId }) => principalId === TEAM)) {
        await tx.insert(grants).values({ kind, resourceId, principalId: TEAM, access: team })
      }
    },
    async end(tx, resource) {
      await tx.delete(grants).where(ofResource(resource))
    },
    forget: (resource) => access.forget(resource),
    async ownersOf(kind, ids) {
      if (ids.length === 0) return new Map()
      const rows = await database.read
        .select({ id: grants.resourceId, ownerId: grants.principalId })
        .from(grants)
        .where(
          and(
            eq(grants.kind, kind),
            eq(grants.access, 'own'),
            inArray(grants.resourceId, [...ids]),
          ),
        )
      const found = await grantees.find(database.read, [
        ...new Set(rows.map(({ ownerId }) => ownerId)),
      ])
      const owners = new Map(found.map((owner) => [owner.id, owner]))
      return new Map(
        rows.flatMap(({ id, ownerId }) => {
          const owner = owners.get(ownerId)
          return owner === undefined ? [] : [[id, owner] as const]
        }),
      )
    },
    async ownedBy(reads, kind, ownerId) {
      const rows = await reads
        .select({ id: grants.resourceId })
        .from(grants)
        .where(
          and(eq(grants.principalId, ownerId), eq(grants.kind, kind), eq(grants.access, 'own')),
        )
      return rows.map(({ id }) => id)
    },
  }
}
