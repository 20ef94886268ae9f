import { asc, eq, inArray, sql, sum } from 'drizzle-orm'

import type { Events } from '../../events.ts'
import type { Ownership, TeamAccess } from '../../gateway/access.ts'
import { type Actor, SERVER } from '../../gateway/principal.ts'
import { type Clock, isoTime } from '../../platform/clock.ts'
import type { Database, Reads, Writes } from '../../platform/database/database.ts'
import type { Outbox } from '../../platform/outbox/outbox.ts'
import type { Manifest } from '../manifest.ts'
import { inferenceProblems } from '../problems.ts'
import { MODEL } from '../readable-models.ts'
import { type InferenceTables, inferenceTables } from '../tables.ts'
import { LATEST, type Traffic, versionsOf } from './traffic.ts'

export type ModelRow = InferenceTables['models']['$inferSelect']
export type VersionRow = InferenceTables['modelVersions']['$inferSelect']

/** A model as the database has it. */
export interface ModelRecord extends ModelRow {
  /** The oldest first. */
  versions: VersionRow[]
}

/** A version that has been admitted, and whose file is stored. */
interface NewVersion {
  id: string
  name: string
  manifest: Manifest
  digest: string
  bytes: number
  /** Rows that were replayed. */
  examples: number
  /** That it should have, where it is free and comes after the others. */
  number?: number | undefined
}

/** Which models there are, with their versions: what all instances go by. */
export interface Models {
  /** Of each model a mark that changes with it. */
  marks(): Promise<ReadonlyMap<string, string>>
  find(name: string): Promise<ModelRecord | undefined>
  findAll(names: readonly string[]): Promise<ModelRecord[]>
  /**
   * Gives a version its number. What is as the newest one already is gets no other.
   *
   * @param isKnown whether the caller has seen that there is such a model, and may change it.
   * @throws {Problem} 409 where that is not so any more, 413 beyond the owner's quota.
   */
  addVersion(
    added: NewVersion,
    by: { ownerId: string; team: TeamAccess; isKnown: boolean; actor: Actor },
  ): Promise<{ version: VersionRow; isNew: boolean }>
  /**
   * The same by the server itself, whatever there is and however much its owner has already.
   *
   * @param claim asked within the write; where it says no, nothing is done.
   * @returns whether there is a new version.
   */
  adoptVersion(
    added: NewVersion,
    by: { ownerId: string | null; team: TeamAccess },
    claim: (tx: Writes) => Promise<boolean>,
  ): Promise<boolean>
  /** @throws {Problem} 409 where a version that it names is gone. */
  setTraffic(name: string, traffic: Traffic, actor: Actor): Promise<void>
  setLoaded(name: string, isLoaded: boolean, actor: Actor): Promise<void>
  /** @returns what was removed. @throws {Problem} 409 while traffic leads to it. */
  removeVersion(name: string, version: number, actor: Actor): Promise<VersionRow | undefined>
  /** @returns its versions. @throws {Problem} 409 while it is loaded. */
  remove(name: string, actor: Actor): Promise<VersionRow[]>
  /** Which of these are ids of versions. */
  idsAmong(ids: readonly string[]): Promise<ReadonlySet<string>>
  /** Counts rows that versions have answered, by their ids. */
  addUse(rows: ReadonlyMap<string, number>): Promise<void>
}

export function createModels(deps: {
  database: Database
  outbox: Outbox<Events>
  ownership: Ownership
  clock: Clock
  /** Of all models of one owner. */
  quotaBytes: number
}): Models {
  const { database, outbox, ownership, clock, quotaBytes } = deps
  const { models, modelVersions } = inferenceTables(database.kit)

  const now = () => new Date(clock.now())
  const told = ({ id }: Actor) => ({ actor_id: id, time: isoTime(clock.now()) })
  const byNumber = (rows: VersionRow[]) => rows.toSorted((a, b) => a.version - b.version)

  async function findAll(reads: Reads, names: readonly string[]): Promise<ModelRecord[]> {
    if (names.length === 0) return []
    const found = await reads
      .select()
      .from(models)
      .where(inArray(models.name, [...names]))
      .orderBy(asc(models.name))
    const versions = await reads
      .select()
      .from(modelVersions)
      .where(inArray(modelVersions.modelName, [...names]))
    const ofName = Map.groupBy(versions, ({ modelName }) => modelName)
    return found.map((model) => ({ ...model, versions: byNumber(ofName.get(model.name) ?? []) }))
  }

  /** Within a write, beside which no other changes it. */
  async function findExcluded(tx: Writes, name: string): Promise<ModelRecord | undefined> {
    await database.exclude(tx, `model ${name}`)
    return (await findAll(tx, [name]))[0]
  }

  /** One change of a model at a time, seen by whoever compares revisions. */
  async function change<T>(
    name: string,
    work: (tx: Writes, model: ModelRecord) => Promise<{ set?: Partial<ModelRow>; result: T }>,
  ): Promise<T> {
    return database.write(async (tx) => {
      const model = await findExcluded(tx, name)
      if (model === undefined) throw gone(name)
      const { set, result } = await work(tx, model)
      if (set !== undefined) {
        await tx
          .update(models)
          .set({ ...set, revision: model.revision + 1, updatedAt: now() })
          .where(eq(models.name, name))
      }
      return result
    })
  }

  /** Within a write. */
  async function requireQuota(tx: Writes, ownerId: string, bytes: number): Promise<void> {
    await database.exclude(tx, `models of ${ownerId}`)
    const names = await ownership.ownedBy(tx, MODEL, ownerId)
    const [row] =
      names.length === 0
        ? []
        : await tx
            .select({ bytes: sum(modelVersions.bytes) })
            .from(modelVersions)
            .where(inArray(modelVersions.modelName, names))
    const used = Number(row?.bytes ?? 0)
    if (used + bytes <= quotaBytes) return
    const detail = `Its owner's models have ${used} bytes, and may have ${quotaBytes}; this one has ${bytes}.`
    throw inferenceProblems.quotaExceeded({ detail })
  }

  async function addFirst(
    tx: Writes,
    name: string,
    { ownerId, team }: { ownerId: string | null; team: TeamAccess },
  ): Promise<ModelRecord> {
    const row = {
      name,
      isLoaded: true,
      traffic: LATEST,
      lastVersion: 0,
      revision: 0,
      createdAt: now(),
      updatedAt: now(),
    }
    await tx.insert(models).values(row)
    await ownership.begin(tx, { kind: MODEL, id: name }, { ownerId, team })
    return { ...row, versions: [] }
  }

  /** Gives a version the next number. */
  async function addNext(
    tx: Writes,
    { name, lastVersion, revision }: ModelRecord,
    { id, manifest, digest, bytes, examples, number: wanted = 1 }: NewVersion,
    actor: Actor,
  ): Promise<VersionRow> {
    const number = Math.max(lastVersion + 1, wanted)
    const version: VersionRow = {
      id,
      modelName: name,
      version: number,
      manifest: { ...manifest, version: String(number) },
      digest,
      bytes,
      examples,
      createdBy: actor.id,
      createdAt: now(),
      predictedRows: 0,
      usedAt: null,
    }
    await tx.insert(modelVersions).values(version)
    await tx
      .update(models)
      .set({ lastVersion: number, revision: revision + 1, updatedAt: now() })
      .where(eq(models.name, name))
    await outbox.add(tx, 'models.version_added', { name, version: number, ...told(actor) })
    return version
  }

  return {
    async marks() {
      const { name, revision, createdAt } = models
      const rows = await database.read.select({ name, revision, createdAt }).from(models)
      return new Map(rows.map((row) => [row.name, markOf(row)]))
    },
    find: async (name) => (await findAll(database.read, [name]))[0],
    findAll: (names) => findAll(database.read, names),

    async addVersion(added, { ownerId, team, isKnown, actor }) {
      const { name, bytes } = added
      const owners = await ownership.ownersOf(MODEL, [name])
      const result = await database.write(async (tx) => {
        const known = await findExcluded(tx, name)
        const isSeen = known !== undefined
        if (isKnown !== isSeen) throw gone(name)
        const newest = known?.versions.at(-1)
        if (newest !== undefined && isSame(newest, added)) return { version: newest, isNew: false }
        const model = known ?? (await addFirst(tx, name, { ownerId, team }))
        const payer = isSeen ? owners.get(name)?.id : ownerId
        if (payer !== undefined) await requireQuota(tx, payer, bytes)
        return { version: await addNext(tx, model, added, actor), isNew: true }
      })
      ownership.forget({ kind: MODEL, id: name })
      return result
    },

    async adoptVersion(added, owner, claim) {
      const { name } = added
      const isNew = await database.write(async (tx) => {
        const known = await findExcluded(tx, name)
        if (!(await claim(tx))) return false
        const newest = known?.versions.at(-1)
        if (newest !== undefined && isSame(newest, added)) return false
        await addNext(tx, known ?? (await addFirst(tx, name, owner)), added, SERVER)
        return true
      })
      ownership.forget({ kind: MODEL, id: name })
      return isNew
    },

    setTraffic: (name, traffic, actor) =>
      change(name, async (tx, { versions }) => {
        const numbers = new Set(versions.map(({ version }) => version))
        const missing = versionsOf(traffic, undefined).find((number) => !numbers.has(number))
        if (missing !== undefined) throw gone(name)
        const data = { name, ...traffic, ...told(actor) }
        await outbox.add(tx, 'models.traffic_changed', data)
        return { set: { traffic }, result: undefined }
      }),

    setLoaded: (name, isLoaded, actor) =>
      change(name, async (tx) => {
        const type = isLoaded ? 'models.loaded' : 'models.unloaded'
        await outbox.add(tx, type, { name, ...told(actor) })
        // Also where it was so: to load it again is to try again what did not load.
        return { set: { isLoaded }, result: undefined }
      }),

    removeVersion: (name, number, actor) =>
      change(name, async (tx, { versions, traffic, isLoaded }) => {
        const version = versions.find((each) => each.version === number)
        if (version === undefined) return { result: undefined }
        const led = versionsOf(traffic, versions.at(-1)?.version)
        const isNamed = versionsOf(traffic, undefined).includes(number)
        if (isNamed || (isLoaded && led.includes(number))) {
          throw inferenceProblems.inUse({
            detail: `Traffic of ${name} leads to version ${number}.`,
          })
        }
        await tx.delete(modelVersions).where(eq(modelVersions.id, version.id))
        const data = { name, version: number, ...told(actor) }
        await outbox.add(tx, 'models.version_removed', data)
        return { set: {}, result: version }
      }),

    async remove(name, actor) {
      const removed = await change(name, async (tx, { versions, isLoaded }) => {
        if (isLoaded) throw inferenceProblems.inUse({ detail: `${name} is loaded.` })
        await tx.delete(modelVersions).where(eq(modelVersions.modelName, name))
        await tx.delete(models).where(eq(models.name, name))
        await ownership.end(tx, { kind: MODEL, id: name })
        await outbox.add(tx, 'models.removed', { name, ...told(actor) })
        return { result: versions }
      })
      ownership.forget({ kind: MODEL, id: name })
      return removed
    },

    async idsAmong(ids) {
      if (ids.length === 0) return new Set()
      const rows = await database.read
        .select({ id: modelVersions.id })
        .from(modelVersions)
        .where(inArray(modelVersions.id, [...ids]))
      return new Set(rows.map(({ id }) => id))
    },

    async addUse(rows) {
      const usedAt = now()
      await database.write(async (tx) => {
        // In one order, or two instances would wait for each other.
        for (const [id, count] of [...rows].toSorted(([a], [b]) => (a < b ? -1 : 1))) {
          await tx
            .update(modelVersions)
            .set({ predictedRows: sql`${modelVersions.predictedRows} + ${count}`, usedAt })
            .where(eq(modelVersions.id, id))
        }
      })
    },
  }
}

/** Another model of the same name was made at another time. */
export const markOf = ({ createdAt, revision }: Pick<ModelRow, 'createdAt' | 'revision'>) =>
  `${createdAt.getTime()} ${revision}`

const gone = (name: string) =>
  inferenceProblems.conflict({ detail: `Somebody else made, changed or removed ${name}.` })

/** Whether an upload is what is there already, by all that it says. */
function isSame(newest: VersionRow, { digest, manifest }: NewVersion): boolean {
  const { version: _, ...known } = newest.manifest
  const { version: __, ...given } = manifest
  return newest.digest === digest && Bun.deepEquals(known, given)
}
