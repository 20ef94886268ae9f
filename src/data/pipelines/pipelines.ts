import { Cron } from 'croner'
import { and, asc, desc, eq, gt, isNotNull, lte, type SQL } from 'drizzle-orm'
import type { AnyColumn } from 'drizzle-orm'

import type { Events } from '../../events.ts'
import type { Ownership, TeamAccess } from '../../gateway/access.ts'
import type { Actor } from '../../gateway/principal.ts'
import { type Clock, isoTime } from '../../platform/clock.ts'
import type { Database, Reads, Writes } from '../../platform/database/database.ts'
import type { Outbox } from '../../platform/outbox/outbox.ts'
import { dataProblems } from '../problems.ts'
import { type DataTables, dataTables } from '../tables.ts'

export const PIPELINE = 'pipeline'

type PipelineRow = DataTables['pipelines']['$inferSelect']
export type PipelineVersionRow = DataTables['pipelineVersions']['$inferSelect']

/** A pipeline with its newest version. */
export interface PipelineRecord extends PipelineRow {
  newest: PipelineVersionRow
}

type NewVersion = Pick<PipelineVersionRow, 'definition' | 'parameters' | 'output'>

/** Which pipelines are saved, with their versions. */
export interface Pipelines {
  find(name: string): Promise<PipelineRecord | undefined>
  /** Those of an order by name, after one. */
  list(page: {
    where: (name: AnyColumn) => SQL | undefined
    published: boolean
    after: string | undefined
    limit: number
  }): Promise<PipelineRecord[]>
  version(name: string, version: number): Promise<PipelineVersionRow | undefined>
  /** The newest first. */
  versions(name: string, page: { limit: number }): Promise<PipelineVersionRow[]>
  /** Makes one, or a further version of it. @throws {Problem} 409 where somebody else did meanwhile. */
  save(
    name: string,
    saved: NewVersion & { description: string | undefined },
    by: { ownerId: string; team: TeamAccess; basis: number | undefined; actor: Actor },
  ): Promise<PipelineRecord>
  change(
    name: string,
    set: Partial<Pick<PipelineRow, 'description' | 'schedule' | 'endpoint'>>,
    actor: Actor,
  ): Promise<void>
  remove(name: string, actor: Actor): Promise<void>
  /** Those that are to be run by now, each for one time, within the write that sees to that. */
  due(see: (tx: Writes, pipeline: PipelineRecord) => Promise<void>): Promise<void>
}

export function createPipelines(deps: {
  database: Database
  outbox: Outbox<Events>
  ownership: Ownership
  clock: Clock
}): Pipelines {
  const { database, outbox, ownership, clock } = deps
  const { pipelines, pipelineVersions, pipelineRuns } = dataTables(database.kit)

  const now = () => new Date(clock.now())
  const told = ({ id }: Actor) => ({ actor_id: id, time: isoTime(clock.now()) })
  const dueOf = (schedule: string | null) =>
    schedule === null ? null : new Cron(schedule, { timezone: 'UTC' }).nextRun(now())

  const versionsOf = (reads: Reads, name: string, limit: number): Promise<PipelineVersionRow[]> =>
    reads
      .select()
      .from(pipelineVersions)
      .where(eq(pipelineVersions.pipelineName, name))
      .orderBy(desc(pipelineVersions.version))
      .limit(limit)

  async function withNewest(reads: Reads, row: PipelineRow): Promise<PipelineRecord[]> {
    const [newest] = await versionsOf(reads, row.name, 1)
    return newest === undefined ? [] : [{ ...row, newest }]
  }

  async function find(reads: Reads, name: string): Promise<PipelineRecord | undefined> {
    const [row] = await reads.select().from(pipelines).where(eq(pipelines.name, name))
    return row && (await withNewest(reads, row))[0]
  }

  /** Within a write, beside which no other changes it. */
  async function findExcluded(tx: Writes, name: string): Promise<PipelineRecord | undefined> {
    await database.exclude(tx, `pipeline ${name}`)
    return find(tx, name)
  }

  const gone = (name: string) =>
    dataProblems.pipelineConflict({ detail: `Somebody else saved, changed or removed ${name}.` })

  return {
    find: (name) => find(database.read, name),
    async list({ where, published, after, limit }) {
      const rows = await database.read
        .select()
        .from(pipelines)
        .where(
          and(
            where(pipelines.name),
            published ? isNotNull(pipelines.endpoint) : undefined,
            after === undefined ? undefined : gt(pipelines.name, after),
          ),
        )
        .orderBy(asc(pipelines.name))
        .limit(limit)
      return (await Promise.all(rows.map((row) => withNewest(database.read, row)))).flat()
    },
    async version(name, version) {
      const [found] = await database.read
        .select()
        .from(pipelineVersions)
        .where(and(eq(pipelineVersions.pipelineName, name), eq(pipelineVersions.version, version)))
      return found
    },
    versions: (name, { limit }) => versionsOf(database.read, name, limit),

    save: (name, { description, ...saved }, { ownerId, team, basis, actor }) =>
      database.write(async (tx) => {
        const known = await findExcluded(tx, name)
        if (known?.newest.version !== basis) throw gone(name)
        const at = now()
        const version = (known?.lastVersion ?? 0) + 1
        if (known === undefined) {
          await tx.insert(pipelines).values({
            name,
            description: description ?? '',
            lastVersion: version,
            schedule: null,
            dueAt: null,
            endpoint: null,
            createdAt: at,
            updatedAt: at,
          })
          await ownership.begin(tx, { kind: PIPELINE, id: name }, { ownerId, team })
        } else {
          const described = description === undefined ? {} : { description }
          await tx
            .update(pipelines)
            .set({ ...described, lastVersion: version, updatedAt: at })
            .where(eq(pipelines.name, name))
        }
        await tx.insert(pipelineVersions).values({
          id: Bun.randomUUIDv7(),
          ...saved,
          pipelineName: name,
          version,
          createdBy: actor.id,
          createdAt: at,
        })
        await outbox.add(tx, 'pipelines.version_added', { name, version, ...told(actor) })
        return (await find(tx, name))!
      }),

    change: (name, set, actor) =>
      database.write(async (tx) => {
        const known = await findExcluded(tx, name)
        if (known === undefined) throw gone(name)
        const due = set.schedule === undefined ? {} : { dueAt: dueOf(set.schedule) }
        await tx
          .update(pipelines)
          .set({ ...set, ...due, updatedAt: now() })
          .where(eq(pipelines.name, name))
        await outbox.add(tx, 'pipelines.changed', { name, ...told(actor) })
      }),

    async remove(name, actor) {
      await database.write(async (tx) => {
        const known = await findExcluded(tx, name)
        if (known === undefined) throw gone(name)
        await tx.delete(pipelineRuns).where(eq(pipelineRuns.pipelineName, name))
        await tx.delete(pipelineVersions).where(eq(pipelineVersions.pipelineName, name))
        await tx.delete(pipelines).where(eq(pipelines.name, name))
        await ownership.end(tx, { kind: PIPELINE, id: name })
        await outbox.add(tx, 'pipelines.removed', { name, ...told(actor) })
      })
      ownership.forget({ kind: PIPELINE, id: name })
    },

    async due(see) {
      const rows = await database.read
        .select({ name: pipelines.name })
        .from(pipelines)
        .where(lte(pipelines.dueAt, now()))
      for (const { name } of rows) {
        await database.write(async (tx) => {
          const known = await findExcluded(tx, name)
          // Another process may have seen to it meanwhile.
          if (known?.dueAt == null || known.dueAt > now()) return
          await tx
            .update(pipelines)
            .set({ dueAt: dueOf(known.schedule) })
            .where(eq(pipelines.name, name))
          await see(tx, known)
        })
      }
    },
  }
}
