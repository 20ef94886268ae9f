import type { Engine } from '../engine/engine.ts'
import { problemOf } from '../queries/failures.ts'
import type { Column } from './column.ts'
import type { VersionRow } from './datasets.ts'
import type { Sources } from './sources.ts'

/** Of a column, as text; null where no file says it. */
interface ColumnStatistics extends Column {
  min: string | null
  max: string | null
  nulls: number | null
}

/** What the footers of files say. */
export interface Statistics {
  of(version: VersionRow, signal: AbortSignal): Promise<ColumnStatistics[]>
}

export function createStatistics(deps: {
  engine: Engine
  sources: Sources
  timeoutMs: number
}): Statistics {
  const { engine, sources, timeoutMs } = deps
  return {
    async of(version, signal) {
      const { paths, release } = await sources.open(version, signal)
      try {
        const described = await engine.run('describe', paths, () => ({ paths }), {
          timeoutMs,
          signal,
          take: async (result) => result,
        })
        const byName = new Map(described.statistics.map((each) => [each.name, each]))
        return version.columns.map(({ name, type }) => {
          const { min = null, max = null, nulls = null } = byName.get(name) ?? {}
          return { name, type, min, max, nulls }
        })
      } catch (error) {
        throw problemOf(error)
      } finally {
        release()
      }
    },
  }
}
