import type { Log } from '../../platform/log.ts'
import type { ModelMetrics } from '../inference-metrics.ts'
import type { LiveModels } from './live-models.ts'
import type { Models } from './models.ts'

const WRITE_INTERVAL_MS = 30_000

/** How often versions were asked: counted in memory, written down now and then. */
export interface ModelUses {
  start(): void
  /** Resolves when what was counted is written, or given up. */
  stop(): Promise<void>
}

export function createModelUses(deps: { live: LiveModels; models: Models; log: Log }): ModelUses {
  const { live, models, log } = deps
  /** As far as it is written down. A version that was loaded anew counts from nothing. */
  const written = new WeakMap<ModelMetrics, number>()
  let timer: Timer | undefined

  async function write(): Promise<void> {
    const served = live.all().flatMap(({ versions }) => [...versions.values()])
    const counts = served.map(({ id, metrics }) => ({ id, metrics, rows: metrics.stats.rows }))
    const news = new Map<string, number>()
    for (const { id, metrics, rows } of counts) {
      const more = rows - (written.get(metrics) ?? 0)
      if (more > 0) news.set(id, more)
    }
    if (news.size === 0) return
    try {
      await models.addUse(news)
      for (const { metrics, rows } of counts) written.set(metrics, rows)
    } catch (error) {
      // It is tried again with the next.
      log.debug({ error }, 'the use of models could not be written down')
    }
  }

  return {
    start() {
      timer = setInterval(() => void write(), WRITE_INTERVAL_MS)
      timer.unref()
    },
    async stop() {
      clearInterval(timer)
      await write()
    },
  }
}
