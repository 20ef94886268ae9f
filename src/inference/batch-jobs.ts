import { type FindIdentity, type Identity } from '../gateway/principal.ts'
import { Problem } from '../gateway/problem.ts'
import { type Clock, isoTime } from '../platform/clock.ts'
import type { Database } from '../platform/database/database.ts'
import { JobFailed, JobRefused, type Jobs } from '../platform/jobs/jobs.ts'
import type { Storage } from '../platform/storage/storage.ts'
import type { PredictionRequest, Predictions } from './predictions.ts'

const TYPE = 'predictions.batch'
/** Computed side by side; progress is told after each such group. */
const GROUP_REQUESTS = 50

/** What a caller who does not wait has asked for. */
interface BatchOrder {
  batchId: string | number | null
  requests: PredictionRequest[]
}

/** Predictions that nobody waits for: their result becomes a file. */
export interface BatchJobs {
  /**
   * @returns the id of the job.
   * @throws {Problem} 404 or 422 at once when one of the requests does not fit.
   */
  enqueue(order: BatchOrder, owner: Identity): Promise<string>
}

export function createBatchJobs(deps: {
  predictions: Predictions
  identity: FindIdentity
  database: Database
  jobs: Jobs
  storage: Storage
  clock: Clock
}): BatchJobs {
  const { predictions, identity, database, jobs, storage, clock } = deps

  /** As they are now: what was taken from them meanwhile is not computed for them. */
  async function requireOwner(id: string | null): Promise<Identity> {
    const owner = id === null ? undefined : await identity(id)
    if (owner?.scopes.has('predict')) return owner
    throw new JobRefused('Its owner may not predict any more.')
  }

  jobs.handle<BatchOrder>(TYPE, {
    async run({ id, ownerId, payload: { batchId, requests }, signal, progress }) {
      const owner = await requireOwner(ownerId)
      const results: object[] = []
      for (let at = 0; at < requests.length; at += GROUP_REQUESTS) {
        const group = requests.slice(at, at + GROUP_REQUESTS)
        const computed = await predictions
          .predictBatch(group, owner, () => signal.aborted)
          .catch(explain)
        signal.throwIfAborted()
        const timestamp = isoTime(clock.now())
        results.push(...computed.map((prediction) => ({ ...prediction, timestamp })))
        progress(results.length / requests.length)
      }
      const processed_at = isoTime(clock.now())
      const content = JSON.stringify({ batch_id: batchId, results, processed_at })
      const file = `predictions/${id}.json`
      await storage.put(file, Buffer.from(content), { signal })
      return { file }
    },
    dispose: (result) => storage.delete((result as { file: string }).file),
  })

  return {
    async enqueue(order, owner) {
      await predictions.requireFit(order.requests, owner)
      const job = { type: TYPE, payload: order, ownerId: owner.id }
      return database.write((tx) => jobs.enqueue(tx, job))
    },
  }
}

/** What does not fit any more, since the model is another one by now, will not fit later either. */
function explain(error: unknown): never {
  if (!(error instanceof Problem)) throw error
  const Failure = error.kind.status < 500 ? JobRefused : JobFailed
  throw new Failure(error.message, { cause: error })
}
