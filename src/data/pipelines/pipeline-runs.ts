import { and, desc, eq, lt } from 'drizzle-orm'

import type { Clock } from '../../platform/clock.ts'
import type { Database, Writes } from '../../platform/database/database.ts'
import type { Jobs } from '../../platform/jobs/jobs.ts'
import type { JobState } from '../../platform/jobs/tables.ts'
import { type DataTables, dataTables } from '../tables.ts'

type RunRow = DataTables['pipelineRuns']['$inferSelect']

/** A run, and how it stands. */
export interface PipelineRun extends RunRow {
  state: JobState
  progress: number
}

/** What became of saved pipelines, run by run. */
export interface PipelineRuns {
  /** Within the write that enqueues its job. */
  add(tx: Writes, run: Omit<RunRow, RunOutcome>): Promise<void>
  begin(id: string): Promise<void>
  succeed(id: string, made: { rows: number; version: number }): Promise<void>
  fail(id: string, error: string): Promise<void>
  get(name: string, id: string): Promise<PipelineRun | undefined>
  /** The newest first. */
  list(name: string, page: { before: string | undefined; limit: number }): Promise<PipelineRun[]>
  /** Forgets those that are older than {@link KEPT_MS}. */
  forgetOld(): Promise<void>
}

type RunOutcome = 'createdAt' | 'startedAt' | 'finishedAt' | 'rows' | 'datasetVersion' | 'error'

const KEPT_MS = 90 * 86_400_000

export function createPipelineRuns(deps: {
  database: Database
  jobs: Jobs
  clock: Clock
}): PipelineRuns {
  const { database, jobs, clock } = deps
  const { pipelineRuns } = dataTables(database.kit)
  const now = () => new Date(clock.now())

  const set = (id: string, values: Partial<RunRow>) =>
    database.write(async (tx) => {
      await tx.update(pipelineRuns).set(values).where(eq(pipelineRuns.id, id))
    })

  /** Of one that has not ended its job knows how it stands; without one it was lost. */
  async function standing(run: RunRow): Promise<PipelineRun> {
    if (run.finishedAt !== null) {
      return { ...run, state: run.error === null ? 'done' : 'failed', progress: 1 }
    }
    const job = await jobs.get(run.id)
    if (job === undefined) return { ...run, state: 'failed', progress: 0 }
    const { state, progress, error, finishedAt } = job
    return { ...run, state, progress, error, finishedAt }
  }

  return {
    async add(tx, run) {
      await tx.insert(pipelineRuns).values({ ...run, createdAt: now() })
    },
    begin: (id) => set(id, { startedAt: now(), finishedAt: null, error: null }),
    succeed: (id, { rows, version }) =>
      set(id, { finishedAt: now(), rows, datasetVersion: version, error: null }),
    fail: (id, error) => set(id, { finishedAt: now(), error }),
    async get(name, id) {
      const [run] = await database.read
        .select()
        .from(pipelineRuns)
        .where(and(eq(pipelineRuns.pipelineName, name), eq(pipelineRuns.id, id)))
      return run && standing(run)
    },
    async list(name, { before, limit }) {
      const rows = await database.read
        .select()
        .from(pipelineRuns)
        .where(
          and(
            eq(pipelineRuns.pipelineName, name),
            before === undefined ? undefined : lt(pipelineRuns.id, before),
          ),
        )
        .orderBy(desc(pipelineRuns.id))
        .limit(limit)
      return Promise.all(rows.map(standing))
    },
    async forgetOld() {
      const oldest = new Date(clock.now() - KEPT_MS)
      await database.write(async (tx) => {
        await tx.delete(pipelineRuns).where(lt(pipelineRuns.createdAt, oldest))
      })
    },
  }
}
