import { join } from 'node:path'

import type { Config } from '../../platform/config.ts'
import type { Log } from '../../platform/log.ts'
import { openPartials } from '../../platform/storage/partial.ts'
import { createEngine, type Engine } from './engine.ts'

/** An engine with the means that the settings give each piece of work. */
export function createServerEngine(
  { config, log }: { config: Config; log: Log },
  counts: { atOnceMax: number; waitingMax: number },
): Engine {
  return createEngine({
    ...counts,
    means: { threads: config.DATA_THREADS, memoryBytesMax: config.DATA_MEMORY_BYTES_MAX },
    spillBytesMax: config.DATA_SPILL_BYTES_MAX,
    partials: openPartials(join(config.DATA_DIR, 'queries')),
    log,
  })
}
