import type { AnyColumn, SQL } from 'drizzle-orm'

import type { Reads, Writes } from '../platform/database/database.ts'
import type { Principal } from './principal.ts'
import type { Scope } from './scopes.ts'

/** What is done to a resource. Whatever uses it without changing it reads it: so does who predicts. */
export type Action = 'read' | 'write'

/** What everybody on the team may do to a resource. */
export type TeamAccess = 'none' | Action

/** Something that can be owned and shared: a model, a dataset, a report, a channel. */
export interface Resource {
  kind: string
  id: string
}

/** What has to be known of the resources of a kind. The feature that has them says it. */
export interface ResourceKind {
  kind: string
  /** What the routes of the kind ask for, and so do those that show and change who may reach it. */
  scopes: Record<Action, Scope>
  /** For the team, where nobody has decided otherwise. */
  team: TeamAccess
  exists(id: string): boolean | Promise<boolean>
}

/** Those resources of a kind that somebody may reach: the condition for a list. */
interface Accessible {
  /** For a list in memory: those of these ids. */
  among(ids: readonly string[]): Promise<ReadonlySet<string>>
  /**
   * For a list in the database: what a `WHERE` says of the column with the ids; nothing where all
   * may be reached.
   */
  where(ids: AnyColumn): SQL | undefined
}

/**
 * The one way to ask whether somebody may do something to a resource. The gateway declares it and
 * auth provides it. It is asked beside the scope of a route: the scope says what somebody may do at
 * all, this says to what. A resource that may not be read is answered for as one that is not there.
 */
export interface Access {
  /** Says what there is of a kind. Before the first question about it. */
  define(kind: ResourceKind): void
  /** At once for a resource that was asked for a moment ago; what was changed elsewhere counts within two seconds. */
  mayAccess(principal: Principal, action: Action, resource: Resource): boolean | Promise<boolean>
  accessible(principal: Principal, action: Action, kind: string): Accessible
}

/** Whose a resource is. */
export interface Owner {
  id: string
  kind: 'user' | 'service_account'
  name: string
}

/** Whose resources are: for the feature that makes and removes them. Auth provides it, beside `Access`. */
export interface Ownership {
  /** Within the write that makes a resource. An owner that it has already stays. */
  begin(
    tx: Writes,
    resource: Resource,
    share: { ownerId: string | null; team: TeamAccess },
  ): Promise<void>
  /** Within the write that removes it. */
  end(tx: Writes, resource: Resource): Promise<void>
  /** After the commit of either. */
  forget(resource: Resource): void
  /** Of those resources that have an owner who is still here. */
  ownersOf(kind: string, ids: readonly string[]): Promise<ReadonlyMap<string, Owner>>
  /** The ids of what somebody owns. */
  ownedBy(reads: Reads, kind: string, ownerId: string): Promise<string[]>
}

/** Whether somebody reaches everything, whoever owns it, and decides who else may. */
export const reachesAll = ({ scopes }: Principal) => scopes.has('grants:admin')
