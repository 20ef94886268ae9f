import type { Log } from '../../platform/log.ts'
import { Pool, PoolError } from '../../platform/pool/pool.ts'
import { StartError } from '../../platform/start-error.ts'
import type { TreeModel } from '../trees/tree-model.ts'
import type { InferencePool } from './batcher.ts'
import type { InferenceJob, InferenceResult, ModelFile, ThreadStart } from './inference.worker.ts'

/** The threads that run models, and which models each of them has. */
export interface ModelThreads {
  pool: InferencePool
  /**
   * Has every thread load a model, one after the other, while the others go on.
   *
   * @throws {PoolError} with the reason of the thread that could not.
   */
  load(file: ModelFile): Promise<void>
  unload(key: string): Promise<void>
  /**
   * Has a thread read a file, which takes a second for a hundred megabytes of text.
   *
   * @returns `undefined` for what is no model of trees.
   * @throws {PoolError}
   */
  readTrees(path: string): Promise<TreeModel | undefined>
  close(): Promise<void>
}

/** What runs in each thread. */
const SCRIPT = new URL('inference.worker.ts', import.meta.url)
/** Each model asks for one thread at a time, for each of its tasks. */
const QUEUE_MAX = 100_000
const READ_TIMEOUT_MS = 120_000

/**
 * @param files that have to load, or the server does not start.
 * @throws {StartError} naming the file that does not.
 */
export async function openModelThreads(
  options: {
    threads: number
    runTimeoutMs: number
    /** For tests, in which threads fail in ways of their own. */
    script?: URL | undefined
    log: Log
  },
  files: readonly ModelFile[],
): Promise<ModelThreads> {
  const held = new Map(files.map((file) => [file.key, file]))
  let isOpen = false
  const pool = await open()
  isOpen = true

  async function open(): Promise<InferencePool> {
    try {
      const opened = await Pool.open<ThreadStart, undefined, InferenceJob, InferenceResult>({
        name: 'inference',
        // A thread that takes another's place serves what it can.
        start: () => ({ files: [...held.values()], isStrict: !isOpen }),
        queueMax: QUEUE_MAX,
        ...options,
        script: options.script ?? SCRIPT,
      })
      return opened.pool
    } catch (cause) {
      if (!(cause instanceof PoolError)) throw cause
      throw new StartError(`A model can't be served: ${cause.message}`, { cause })
    }
  }

  return {
    pool,
    async load(file) {
      if (held.has(file.key)) return
      held.set(file.key, file)
      try {
        await pool.runOnEach({ load: file })
      } catch (error) {
        held.delete(file.key)
        await pool.runOnEach({ unload: file.key })
        throw error
      }
    },
    async unload(key) {
      if (held.delete(key)) await pool.runOnEach({ unload: key })
    },
    async readTrees(path) {
      const result = await pool.run(() => ({ read: path }), { timeoutMs: READ_TIMEOUT_MS })
      if (result === undefined || !('trees' in result)) throw new Error('a thread read nothing')
      return result.trees
    },
    close: () => pool.close(),
  }
}
