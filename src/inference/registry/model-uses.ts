import type { Log } from '../../platform/log.ts'
import type { ModelStats } from '../serving/model-stats.ts'
import type { Loader } from './loader.ts'
import type { Models } from './models.ts'

const WRITE_INTERVAL_MS = 30_000

/** How often versions were asked: counted in memory, written down now and then. */
export interface ModelUses {
  /** The same loader, of which all that it loads is counted, until it is unloaded. */
  counting(loader: Loader): Loader
  start(): void
  /** Resolves when what was counted is written, or given up. */
  stop(): Promise<void>
}

/** Nothing else of the model, which is to go when it is unloaded and not when that is written down. */
interface Counted {
  id: string
  stats: Pick<ModelStats, 'rows'>
  /** Rows, as far as they are written down. */
  written: number
  isGone: boolean
}

export function createModelUses(deps: { models: Pick<Models, 'addUse'>; log: Log }): ModelUses {
  const { models, log } = deps
  const all = new Set<Counted>()
  let writing = Promise.resolve()
  let timer: Timer | undefined

  async function writeNow(): Promise<void> {
    const counts = [...all].map((counted) => ({
      counted,
      isLast: counted.isGone,
      rows: counted.stats.rows,
    }))
    const news = new Map<string, number>()
    for (const { counted, rows } of counts) {
      const more = rows - counted.written
      if (more > 0) news.set(counted.id, (news.get(counted.id) ?? 0) + more)
    }
    try {
      if (news.size > 0) await models.addUse(news)
      for (const { counted, rows, isLast } of counts) {
        counted.written = rows
        if (isLast) all.delete(counted)
      }
    } catch (error) {
      // It is tried again with the next.
      log.debug({ error }, 'the use of models could not be written down')
    }
  }

  /** One after the other: what another is writing down is no news. */
  const write = () => (writing = writing.then(writeNow))

  return {
    counting: (loader) => ({
      async load(version) {
        const { served, unload } = await loader.load(version)
        const { id, metrics } = served
        const counted: Counted = { id, stats: metrics.stats, written: 0, isGone: false }
        all.add(counted)
        return {
          served,
          unload() {
            counted.isGone = true
            return unload()
          },
        }
      },
    }),
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
