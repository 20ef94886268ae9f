import type { Log } from '../../platform/log.ts'
import type { ServedModel } from '../serving/served-model.ts'
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

interface Counted {
  served: Pick<ServedModel, 'id' | 'metrics'>
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
      rows: counted.served.metrics.stats.rows,
    }))
    const news = new Map<string, number>()
    for (const { counted, rows } of counts) {
      const { id } = counted.served
      const more = rows - counted.written
      if (more > 0) news.set(id, (news.get(id) ?? 0) + more)
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
        const counted: Counted = { served, written: 0, isGone: false }
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
