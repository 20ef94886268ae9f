import { actorAs, type FindIdentity, type Identity } from '../../gateway/principal.ts'
import { Problem } from '../../gateway/problem.ts'
import type { Database, Writes } from '../../platform/database/database.ts'
import { JobFailed, JobRefused, type Jobs, type Lane } from '../../platform/jobs/jobs.ts'
import { dataProblems } from '../problems.ts'
import type { Materializer, Work } from './materializer.ts'
import type { PipelineRuns } from './pipeline-runs.ts'

const TYPE = 'pipelines.run'
/** What a crash broke off is done again; what fails twice fails. */
const ATTEMPTS_MAX = 2

interface Order {
  work: Work
  /** Whose run it is, of one that is saved. */
  isSaved: boolean
}

/** Pipelines that nobody waits for: what comes out becomes a dataset. */
export interface PipelineJobs {
  /**
   * Within a write.
   *
   * @param order.isSaved whether there is a run of a saved pipeline with the id of the job.
   * @throws {TooManyJobs}
   */
  enqueue(tx: Writes, order: Order, ownerId: string): Promise<string>
  /** @returns the id of the job. @throws {Problem} for what would be refused at once. */
  start(work: Work, owner: Identity): Promise<string>
}

export function createPipelineJobs(deps: {
  materializer: Materializer
  runs: PipelineRuns
  identity: FindIdentity
  database: Database
  jobs: Jobs
  /** Where they wait for each other, and nothing else waits for them. */
  lane: Lane
  timeoutMs: number
}): PipelineJobs {
  const { materializer, runs, identity, database, jobs, lane, timeoutMs } = deps

  /** As they are now: what was taken from them meanwhile is not read for them. */
  async function requireOwner(id: string | null): Promise<Identity> {
    const owner = id === null ? undefined : await identity(id)
    if (owner?.scopes.has('datasets:write')) return owner
    throw new JobRefused('Its owner may not write datasets any more.')
  }

  lane.handle<Order>(TYPE, {
    async run({ id, ownerId, attempt, payload: { work, isSaved }, signal, progress }) {
      if (isSaved) await runs.begin(id)
      try {
        const owner = await requireOwner(ownerId)
        const by = { identity: owner, actor: actorAs(owner, null) }
        const options = { timeoutMs, signal, onProgress: progress }
        const { rows, version } = await materializer.materialize(id, work, by, options)
        if (isSaved) await runs.succeed(id, { rows, version })
        const location = `/api/v1/datasets/${work.output.dataset}/versions/${version}`
        return { location, rows }
      } catch (error) {
        signal.throwIfAborted()
        const failure = explained(error)
        const isLast = failure instanceof JobRefused || attempt >= ATTEMPTS_MAX
        if (isSaved && isLast) await runs.fail(id, wordsOf(failure))
        throw failure
      }
    },
  })

  const enqueue: PipelineJobs['enqueue'] = (tx, order, ownerId) =>
    jobs.enqueue(tx, { type: TYPE, payload: order, ownerId, attemptsMax: ATTEMPTS_MAX })

  return {
    enqueue,
    async start(work, owner) {
      await materializer.requireRight(work, owner)
      return database.write((tx) => enqueue(tx, { work, isSaved: false }, owner.id))
    },
  }
}

/** Other errors are for the log alone. */
const wordsOf = (failure: Error) =>
  failure instanceof JobFailed ? failure.message : 'It failed by a bug of the server.'

/** What is refused would be refused again; what somebody else did meanwhile, and what was away, may go well. */
function explained(error: unknown): Error {
  if (!(error instanceof Problem)) return error instanceof Error ? error : new Error(String(error))
  const isConflict = error.kind === dataProblems.conflict.kind
  const isFinal = error.kind.status < 500 && !isConflict
  return new (isFinal ? JobRefused : JobFailed)(error.message, { cause: error })
}
