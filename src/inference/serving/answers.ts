import type { Cache } from '../../platform/cache/cache.ts'
import type { Matrix } from '../features.ts'
import { type Manifest, outputWidth } from '../manifest.ts'
import type { IsAbandoned } from './batcher.ts'
import type { ServedModel } from './served-model.ts'
import type { AskShadow } from './shadows.ts'

/** Who waits for an answer. */
interface Waiting {
  isAbandoned: IsAbandoned
  isUrgent?: boolean
}

/**
 * What a model says of rows, from the cache or not; measured.
 *
 * @returns row by row, `outputWidth` a row.
 * @throws {Problem} 503, 504.
 */
export type Answers = (
  model: ServedModel,
  matrix: Matrix,
  waiting: Waiting,
) => Promise<Float64Array>

export function createAnswers(deps: {
  cache: Cache
  cacheTtlSeconds: number
  askShadow: AskShadow
}): Answers {
  const { cache, cacheTtlSeconds, askShadow } = deps
  /** Of rows that are asked for by several at once, the one call and all who wait for it. */
  const underway = new Map<string, { waiting: Waiting[]; outputs: Promise<Float64Array> }>()

  async function run(model: ServedModel, matrix: Matrix, waiting: Waiting) {
    const { metrics } = model
    const startedAt = performance.now()
    try {
      const { rows, values } = matrix
      const outputs = await model.run(rows, values, waiting.isAbandoned, waiting.isUrgent)
      if (model.shadow !== undefined) askShadow(model, matrix, outputs)
      if (!model.manifest.cache) tell(model, rows, startedAt)
      return outputs
    } catch (error) {
      metrics.failed((performance.now() - startedAt) / 1000)
      throw error
    }
  }

  async function remembered(
    model: ServedModel,
    matrix: Matrix,
    waiting: Waiting,
  ): Promise<Float64Array> {
    const startedAt = performance.now()
    const outputs = await recall(model, matrix, waiting)
    tell(model, matrix.rows, startedAt)
    return outputs
  }

  async function recall(model: ServedModel, matrix: Matrix, waiting: Waiting) {
    const { manifest, digest, metrics } = model
    const startedAt = performance.now()
    const key = keyOf(manifest, digest, matrix.values)
    const known = await cache.get(key)
    const bytes = matrix.rows * outputWidth(manifest) * Float64Array.BYTES_PER_ELEMENT
    // Others may write to a cache that is shared.
    if (known?.byteLength === bytes) {
      metrics.cacheHit(performance.now() - startedAt)
      return new Float64Array(known.buffer as ArrayBuffer)
    }
    const others = underway.get(key)
    if (others !== undefined) {
      others.waiting.push(waiting)
      return others.outputs
    }
    metrics.cacheMiss(performance.now() - startedAt)
    const all = [waiting]
    const outputs = run(model, matrix, {
      isAbandoned: () => all.every(({ isAbandoned }) => isAbandoned()),
      isUrgent: waiting.isUrgent ?? false,
    })
    underway.set(key, { waiting: all, outputs })
    try {
      const computed = await outputs
      // The answer does not wait for it.
      void cache.set(key, new Uint8Array(computed.buffer), cacheTtlSeconds)
      return computed
    } finally {
      underway.delete(key)
    }
  }

  return (model, matrix, waiting) => {
    if (matrix.rows === 0) return Promise.resolve(new Float64Array())
    model.metrics.stats.lastInference = Date.now()
    return model.manifest.cache ? remembered(model, matrix, waiting) : run(model, matrix, waiting)
  }
}

function tell({ metrics }: ServedModel, rows: number, startedAt: number): void {
  metrics.latency((performance.now() - startedAt) / 1000)
  metrics.count(rows)
}

/**
 * A digest of model, version, model file and features: what decides the answer, whatever form it
 * came in. The file counts, since a cache may outlive the process and models are retrained in place.
 */
function keyOf({ name, version }: Manifest, file: string, values: Float64Array): string {
  const model = `${name}\n${version}\n${file}\n`
  const digest = new Bun.CryptoHasher('sha256').update(model).update(values)
  return `prediction:${digest.digest('base64url')}`
}
