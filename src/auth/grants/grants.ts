import { and, eq } from 'drizzle-orm'

import type { Events } from '../../events.ts'
import { type Action, reachesAll, type Resource, type TeamAccess } from '../../gateway/access.ts'
import type { Actor, Identity } from '../../gateway/principal.ts'
import { type Fault, invalid, problems } from '../../gateway/problems.ts'
import type { Database, Reads, Writes } from '../../platform/database/database.ts'
import { foldName } from '../accounts/names.ts'
import type { Audit } from '../audit/audit.ts'
import type { AuthTables } from '../tables.ts'
import type { SharedAccess } from './access.ts'
import type { Grantee, Grantees } from './grantees.ts'
import { accessOf, changedGrantees, grantsOf, permits, shareOf, type Share } from './share.ts'

/** A share with the names of those who are named in it. */
export interface NamedShare extends Omit<Share, 'named'> {
  named: (Grantee & { access: Action })[]
}

/** Somebody who is to be granted something, in one of the ways to say who. */
export interface WantedGrantee {
  by: 'id' | 'username' | 'service_account'
  value: string
  access: Action
}

interface WantedShare {
  /** Left out, it stays as it is. */
  ownerId?: string | null | undefined
  team: TeamAccess
  named: WantedGrantee[]
}

/** With the id, where there is somebody whom the words mean. */
type Found = WantedGrantee & { id: string | undefined }

/** Who may do what to which resource. What there is, and who may ask, is for the caller to know. */
export interface Grants {
  /** All of it for whoever may write; others see of those who are named themselves alone. */
  get(resource: Resource, by: Identity): Promise<NamedShare>
  /**
   * Replaces all grants of a resource.
   *
   * @throws {Problem} 403 unless `by` owns it or reaches all, which to give it another owner takes;
   * 422 where somebody is named who is not here, or twice.
   */
  replace(resource: Resource, wanted: WantedShare, by: Identity, actor: Actor): Promise<NamedShare>
  /**
   * Takes back all that somebody was granted, within the write that removes them. What they owned
   * then has no owner: it stays as it was for the others, and is administrators' to share.
   */
  revoke(tx: Writes, principal: Pick<Grantee, 'id' | 'kind'>, actor: Actor): Promise<void>
}

export function createGrants(deps: {
  database: Database
  tables: AuthTables
  access: SharedAccess
  grantees: Grantees
  audit: Audit
}): Grants {
  const { database, access, grantees, audit } = deps
  const { grants } = deps.tables

  const ofResource = ({ kind, id }: Resource) =>
    and(eq(grants.kind, kind), eq(grants.resourceId, id))

  async function read(reads: Reads, resource: Resource): Promise<Share> {
    const rows = await reads.select().from(grants).where(ofResource(resource))
    return shareOf(rows, access.kind(resource.kind)!.team)
  }

  async function write(
    tx: Writes,
    resource: Resource,
    { before, share }: { before: Share; share: Share },
    actor: Actor,
  ): Promise<void> {
    const { kind, id: resourceId } = resource
    await tx.delete(grants).where(ofResource(resource))
    await tx.insert(grants).values(grantsOf(share).map((row) => ({ kind, resourceId, ...row })))
    await audit.record(tx, actor, 'auth.grants_changed', {
      kind,
      resource_id: resourceId,
      owner_id: share.ownerId,
      team: share.team,
      principals: Array.from(share.named, ([id, given]) => ({ id, access: given })),
    })
    for (const grantee of await grantees.find(tx, changedGrantees(before, share))) {
      const { id } = grantee
      await tell(tx, actor, resource, grantee, {
        from: accessOf(before, id),
        to: accessOf(share, id),
      })
    }
  }

  const tell = (
    tx: Writes,
    actor: Actor,
    resource: Resource,
    { id, kind }: Pick<Grantee, 'id' | 'kind'>,
    change: Pick<Events['auth.grantee_changed'], 'from' | 'to'>,
  ) =>
    audit.record(tx, actor, 'auth.grantee_changed', {
      user_id: kind === 'user' ? id : null,
      service_account_id: kind === 'user' ? null : id,
      kind: resource.kind,
      resource_id: resource.id,
      ...change,
    })

  async function findAll(reads: Reads, wanted: readonly WantedGrantee[]): Promise<Found[]> {
    const namesBy = (way: WantedGrantee['by']) =>
      wanted.filter(({ by }) => by === way).map(({ value }) => value)
    const users = await grantees.named(reads, 'user', namesBy('username'))
    const programs = await grantees.named(reads, 'service_account', namesBy('service_account'))
    const idOf = ({ by, value }: WantedGrantee) =>
      by === 'id' ? value : (by === 'username' ? users : programs).get(foldName(value))
    return wanted.map((each) => ({ ...each, id: idOf(each) }))
  }

  return {
    async get(resource, by) {
      const share = await read(database.read, resource)
      const seesAll = permits(share, by, 'write')
      const seen = [...share.named.keys()].filter((id) => seesAll || id === by.id)
      const found = await grantees.find(database.read, seen)
      return withNames(share, found)
    },
    async replace(resource, wanted, by, actor) {
      const replaced = await database.write(async (tx) => {
        await database.exclude(tx, `grants of ${resource.kind} ${resource.id}`)
        const before = await read(tx, resource)
        const { ownerId = before.ownerId } = wanted
        requireRight(before, ownerId, by)
        const asked = await findAll(tx, wanted.named)
        const ids = asked.flatMap(({ id }) => id ?? [])
        const found = await grantees.hold(tx, ownerId === null ? ids : [...ids, ownerId])
        const faults = faultsOf(ownerId, asked, new Set(found.map(({ id }) => id)))
        if (faults.length > 0) throw invalid(faults)
        const named = new Map(asked.map(({ id, access: given }) => [id!, given]))
        const share = { ownerId, team: wanted.team, named }
        if (!Bun.deepEquals(share, before)) await write(tx, resource, { before, share }, actor)
        return withNames(share, found)
      })
      access.forget(resource)
      return replaced
    },
    async revoke(tx, principal, actor) {
      const revoked = await tx
        .delete(grants)
        .where(eq(grants.principalId, principal.id))
        .returning({ kind: grants.kind, id: grants.resourceId, access: grants.access })
      for (const { access: from, ...resource } of revoked) {
        await tell(tx, actor, resource, principal, { from, to: 'none' })
      }
    },
  }
}

/** @throws {Problem} 403. */
function requireRight(before: Share, ownerId: string | null, by: Identity): void {
  if (reachesAll(by)) return
  if (before.ownerId !== by.id) {
    throw problems.forbidden({ detail: 'Only its owner and administrators decide who may.' })
  }
  if (ownerId !== before.ownerId) {
    throw problems.forbidden({ detail: 'Only administrators give it another owner.' })
  }
}

function faultsOf(
  ownerId: string | null,
  asked: readonly Found[],
  here: ReadonlySet<string>,
): Fault[] {
  const faults: Fault[] = []
  if (typeof ownerId === 'string' && !here.has(ownerId)) {
    faults.push({ path: ['owner_id'], detail: 'is nobody’s id' })
  }
  const seen = new Set<string>()
  for (const [index, { by, id }] of asked.entries()) {
    const blame = (detail: string) => faults.push({ path: ['principals', index, by], detail })
    if (id === undefined) blame(NOBODY[by])
    else if (seen.has(id)) blame('is named twice')
    else if (id === ownerId) blame('is the owner’s')
    else if (!here.has(id)) blame(NOBODY[by])
    if (id !== undefined) seen.add(id)
  }
  return faults
}

const NOBODY: Record<WantedGrantee['by'], string> = {
  id: 'is nobody’s id',
  username: 'is nobody’s user name',
  service_account: 'is no service account’s name',
}

/** In the order of names. */
function withNames(share: Share, found: readonly Grantee[]): NamedShare {
  const named = found.flatMap((grantee) => {
    const access = share.named.get(grantee.id)
    return access === undefined ? [] : [{ ...grantee, access }]
  })
  return { ...share, named: named.toSorted((one, other) => (one.name < other.name ? -1 : 1)) }
}
