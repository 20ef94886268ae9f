import { and, asc, desc, eq, gt, inArray, isNotNull, type SQL, sum } from 'drizzle-orm'
import type { AnyColumn } from 'drizzle-orm'

import type { Events } from '../../events.ts'
import type { Ownership, TeamAccess } from '../../gateway/access.ts'
import type { Actor } from '../../gateway/principal.ts'
import { type Clock, isoTime } from '../../platform/clock.ts'
import type { Database, Reads, Writes } from '../../platform/database/database.ts'
import type { Outbox } from '../../platform/outbox/outbox.ts'
import { dataProblems } from '../problems.ts'
import { type DataTables, dataTables } from '../tables.ts'

export const DATASET = 'dataset'

type DatasetRow = DataTables['datasets']['$inferSelect']
export type VersionRow = DataTables['datasetVersions']['$inferSelect']

/** A dataset with its newest version. */
export interface DatasetRecord extends DatasetRow {
  newest: VersionRow
}

/** What nothing refers to any more, by ids. */
export interface Forgotten {
  files: string[]
  versions: string[]
}

/** What becomes a version: its files are stored already. */
type NewVersion = Pick<
  VersionRow,
  'id' | 'origin' | 'columns' | 'rows' | 'bytes' | 'openFiles' | 'rejectedRows' | 'rejected'
> & {
  /** Those that no version has yet. */
  added: { id: string; bytes: number }[]
  /** Those that go before them. */
  kept: readonly string[]
}

/** Which datasets there are, with their versions. */
export interface Datasets {
  find(name: string): Promise<DatasetRecord | undefined>
  /** Those of an order by name, after one. */
  list(page: {
    where: (name: AnyColumn) => SQL | undefined
    after: string | undefined
    limit: number
  }): Promise<DatasetRecord[]>
  version(name: string, version: number): Promise<VersionRow | undefined>
  /** The one with this id. */
  versionOf(id: string): Promise<VersionRow | undefined>
  /** The newest first. */
  versions(name: string, page: { limit: number }): Promise<VersionRow[]>
  /**
   * Gives a version its number.
   *
   * @param added.openFiles where it is open: then it joins one that is.
   * @param by.basis the id of the newest version that the caller has seen; none where it makes the dataset.
   * @throws {Problem} 409 where there is another by now, 413 beyond the owner's quota.
   */
  addVersion(
    name: string,
    added: NewVersion,
    by: {
      ownerId: string
      team: TeamAccess
      basis: string | undefined
      actor: Actor
    },
  ): Promise<{ version: VersionRow; forgotten: Forgotten }>
  /** Newest versions that are open. */
  open(): Promise<VersionRow[]>
  /**
   * Closes a version: what events have added to it is in these files from now on.
   *
   * @returns nothing where it has changed meanwhile.
   */
  close(
    version: VersionRow,
    compacted: readonly { id: string; bytes: number }[],
  ): Promise<Forgotten | undefined>
  change(
    name: string,
    set: Partial<Pick<DatasetRow, 'description' | 'versionsKept'>>,
    actor: Actor,
  ): Promise<Forgotten>
  /** @returns nothing where there was none. @throws {Problem} 409 for the only one. */
  removeVersion(name: string, version: number, actor: Actor): Promise<Forgotten | undefined>
  remove(name: string, actor: Actor): Promise<Forgotten>
  /** Which of these are ids of files, or of versions. */
  idsAmong(ids: readonly string[]): Promise<ReadonlySet<string>>
}

export function createDatasets(deps: {
  database: Database
  outbox: Outbox<Events>
  ownership: Ownership
  clock: Clock
  /** Of all datasets of one owner. */
  quotaBytes: number
}): Datasets {
  const { database, outbox, ownership, clock, quotaBytes } = deps
  const { datasets, datasetVersions, datasetFiles } = dataTables(database.kit)

  const now = () => new Date(clock.now())
  const told = ({ id }: Actor) => ({ actor_id: id, time: isoTime(clock.now()) })

  async function versionsOf(reads: Reads, name: string, limit?: number): Promise<VersionRow[]> {
    const found = reads
      .select()
      .from(datasetVersions)
      .where(eq(datasetVersions.datasetName, name))
      .orderBy(desc(datasetVersions.version))
    return limit === undefined ? found : found.limit(limit)
  }

  async function find(reads: Reads, name: string): Promise<DatasetRecord | undefined> {
    const [dataset] = await reads.select().from(datasets).where(eq(datasets.name, name))
    const [newest] = dataset === undefined ? [] : await versionsOf(reads, name, 1)
    return dataset && newest && { ...dataset, newest }
  }

  /** Within a write, beside which no other changes it. */
  async function findExcluded(tx: Writes, name: string): Promise<DatasetRecord | undefined> {
    await database.exclude(tx, `dataset ${name}`)
    return find(tx, name)
  }

  async function bytesOf(reads: Reads, files: readonly string[]): Promise<number> {
    if (files.length === 0) return 0
    const [row] = await reads
      .select({ bytes: sum(datasetFiles.bytes) })
      .from(datasetFiles)
      .where(inArray(datasetFiles.id, [...files]))
    return Number(row?.bytes ?? 0)
  }

  /** Within a write. */
  async function requireQuota(tx: Writes, ownerId: string, bytes: number): Promise<void> {
    await database.exclude(tx, `datasets of ${ownerId}`)
    const names = await ownership.ownedBy(tx, DATASET, ownerId)
    const [row] =
      names.length === 0
        ? []
        : await tx
            .select({ bytes: sum(datasetFiles.bytes) })
            .from(datasetFiles)
            .where(inArray(datasetFiles.datasetName, names))
    const used = Number(row?.bytes ?? 0)
    if (used + bytes <= quotaBytes) return
    const detail = `Its owner's datasets have ${used} bytes as Parquet, and may have ${quotaBytes}; this has ${bytes}.`
    throw dataProblems.quotaExceeded({ detail })
  }

  /** Within a write, files that no version has any more. */
  async function forgetFiles(tx: Writes, name: string): Promise<string[]> {
    const used = new Set((await versionsOf(tx, name)).flatMap(({ files }) => files))
    const known = await tx
      .select({ id: datasetFiles.id })
      .from(datasetFiles)
      .where(eq(datasetFiles.datasetName, name))
    const strays = known.map(({ id }) => id).filter((id) => !used.has(id))
    if (strays.length > 0) await tx.delete(datasetFiles).where(inArray(datasetFiles.id, strays))
    return strays
  }

  /** Within a write, versions beyond those that stay. */
  async function forgetOld(
    tx: Writes,
    { name, versionsKept }: Pick<DatasetRow, 'name' | 'versionsKept'>,
  ): Promise<Forgotten> {
    const old = versionsKept === null ? [] : (await versionsOf(tx, name)).slice(versionsKept)
    if (old.length === 0) return { files: [], versions: [] }
    const versions = old.map(({ id }) => id)
    await tx.delete(datasetVersions).where(inArray(datasetVersions.id, versions))
    return { files: await forgetFiles(tx, name), versions }
  }

  const gone = (name: string) =>
    dataProblems.conflict({ detail: `Somebody else made, changed or removed ${name}.` })

  return {
    find: (name) => find(database.read, name),
    async list({ where, after, limit }) {
      const rows = await database.read
        .select()
        .from(datasets)
        .where(
          and(where(datasets.name), after === undefined ? undefined : gt(datasets.name, after)),
        )
        .orderBy(asc(datasets.name))
        .limit(limit)
      const found = await Promise.all(rows.map(({ name }) => find(database.read, name)))
      return found.filter((each) => each !== undefined)
    },
    async version(name, version) {
      const [found] = await database.read
        .select()
        .from(datasetVersions)
        .where(and(eq(datasetVersions.datasetName, name), eq(datasetVersions.version, version)))
      return found
    },
    async versionOf(id) {
      const [found] = await database.read
        .select()
        .from(datasetVersions)
        .where(eq(datasetVersions.id, id))
      return found
    },
    versions: (name, { limit }) => versionsOf(database.read, name, limit),

    async addVersion(name, { added, kept, ...described }, { ownerId, team, basis, actor }) {
      const owners = await ownership.ownersOf(DATASET, [name])
      const result = await database.write(async (tx) => {
        const known = await findExcluded(tx, name)
        if (known?.newest.id !== basis) throw gone(name)
        const at = now()
        const isOpen = described.openFiles !== null && known?.newest.openFiles != null
        const joined = isOpen ? known.newest : undefined
        const number = joined?.version ?? (known?.lastVersion ?? 0) + 1
        if (known === undefined) {
          await tx.insert(datasets).values({
            name,
            description: '',
            versionsKept: null,
            lastVersion: number,
            createdAt: at,
            updatedAt: at,
          })
          await ownership.begin(tx, { kind: DATASET, id: name }, { ownerId, team })
        }
        const payer = known === undefined ? ownerId : owners.get(name)?.id
        const bytes = added.reduce((total, file) => total + file.bytes, 0)
        if (payer !== undefined) await requireQuota(tx, payer, bytes)
        const version: VersionRow = {
          ...described,
          datasetName: name,
          version: number,
          files: [...kept, ...added.map(({ id }) => id)],
          openFiles: joined === undefined ? described.openFiles : joined.openFiles! + 1,
          createdBy: joined?.createdBy ?? actor.id,
          createdAt: joined?.createdAt ?? at,
        }
        if (joined !== undefined) {
          await tx.delete(datasetVersions).where(eq(datasetVersions.id, joined.id))
        }
        await tx.insert(datasetVersions).values(version)
        if (added.length > 0) {
          const files = added.map((file) => ({ ...file, datasetName: name, createdAt: at }))
          await tx.insert(datasetFiles).values(files)
        }
        await tx
          .update(datasets)
          .set({ lastVersion: number, updatedAt: at })
          .where(eq(datasets.name, name))
        // Of one that grows all the time that it was begun is enough.
        if (joined === undefined) {
          const news = { name, version: number, rows: version.rows, ...told(actor) }
          await outbox.add(tx, 'datasets.version_added', news)
        }
        const forgotten = await forgetOld(tx, known ?? { name, versionsKept: null })
        if (joined !== undefined) forgotten.versions.push(joined.id)
        return { version, forgotten }
      })
      ownership.forget({ kind: DATASET, id: name })
      return result
    },

    close: (version, compacted) =>
      database.write(async (tx) => {
        const { datasetName: name, id, files, openFiles } = version
        const known = await findExcluded(tx, name)
        if (known?.newest.id !== id) return undefined
        const kept = files.slice(0, files.length - openFiles!)
        const closed: VersionRow = {
          ...version,
          id: Bun.randomUUIDv7(),
          files: [...kept, ...compacted.map((file) => file.id)],
          bytes:
            (await bytesOf(tx, kept)) + compacted.reduce((total, { bytes }) => total + bytes, 0),
          openFiles: null,
        }
        await tx.delete(datasetVersions).where(eq(datasetVersions.id, id))
        await tx.insert(datasetVersions).values(closed)
        const added = compacted.map((file) => ({ ...file, datasetName: name, createdAt: now() }))
        await tx.insert(datasetFiles).values(added)
        return { files: await forgetFiles(tx, name), versions: [id] }
      }),
    async open() {
      const rows = await database.read
        .select()
        .from(datasetVersions)
        .where(isNotNull(datasetVersions.openFiles))
      const newest = await Promise.all(
        rows.map(async (row) => ({ row, dataset: await find(database.read, row.datasetName) })),
      )
      return newest.flatMap(({ row, dataset }) => (dataset?.newest.id === row.id ? [row] : []))
    },

    change: (name, set, actor) =>
      database.write(async (tx) => {
        const known = await findExcluded(tx, name)
        if (known === undefined) throw gone(name)
        await tx
          .update(datasets)
          .set({ ...set, updatedAt: now() })
          .where(eq(datasets.name, name))
        await outbox.add(tx, 'datasets.changed', { name, ...told(actor) })
        return forgetOld(tx, { ...known, ...set })
      }),

    removeVersion: (name, number, actor) =>
      database.write(async (tx) => {
        await database.exclude(tx, `dataset ${name}`)
        const all = await versionsOf(tx, name)
        const version = all.find((each) => each.version === number)
        if (version === undefined) return undefined
        if (all.length === 1) {
          throw dataProblems.onlyVersion({ detail: `${name} has no other version.` })
        }
        await tx.delete(datasetVersions).where(eq(datasetVersions.id, version.id))
        await outbox.add(tx, 'datasets.version_removed', { name, version: number, ...told(actor) })
        return { files: await forgetFiles(tx, name), versions: [version.id] }
      }),

    async remove(name, actor) {
      const removed = await database.write(async (tx) => {
        const known = await findExcluded(tx, name)
        if (known === undefined) throw gone(name)
        const versions = (await versionsOf(tx, name)).map(({ id }) => id)
        await tx.delete(datasetVersions).where(eq(datasetVersions.datasetName, name))
        const files = await forgetFiles(tx, name)
        await tx.delete(datasets).where(eq(datasets.name, name))
        await ownership.end(tx, { kind: DATASET, id: name })
        await outbox.add(tx, 'datasets.removed', { name, ...told(actor) })
        return { files, versions }
      })
      ownership.forget({ kind: DATASET, id: name })
      return removed
    },

    async idsAmong(ids) {
      if (ids.length === 0) return new Set()
      const { read } = database
      const [files, versions] = await Promise.all([
        read
          .select({ id: datasetFiles.id })
          .from(datasetFiles)
          .where(inArray(datasetFiles.id, [...ids])),
        read
          .select({ id: datasetVersions.id })
          .from(datasetVersions)
          .where(inArray(datasetVersions.id, [...ids])),
      ])
      return new Set([...files, ...versions].map(({ id }) => id))
    },
  }
}
