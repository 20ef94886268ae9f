import { LRUCache } from 'lru-cache'

import type { Clock } from '../clock.ts'
import type { Cache } from './cache.ts'
import { withSharedLoads } from './shared-loads.ts'

/** What an entry costs beside its bytes: the key, the array and the list node, about. */
const ENTRY_OVERHEAD_BYTES = 256

/** Keeps values in this process; the least recently used ones go first when `bytesMax` is reached. */
export function createMemoryCache(bytesMax: number, clock: Clock): Cache {
  const entries = new LRUCache<string, Uint8Array>({
    maxSize: bytesMax,
    sizeCalculation: (value, key) => value.byteLength + 2 * key.length + ENTRY_OVERHEAD_BYTES,
    // The cache's own timer would hide a clock that tests move.
    ttlResolution: 0,
    ttl: 1,
    perf: clock,
  })
  return withSharedLoads({
    driver: 'memory',
    async get(key) {
      const value = entries.get(key)
      return value && new Uint8Array(value)
    },
    async set(key, value, ttlSeconds) {
      entries.set(key, new Uint8Array(value), { ttl: ttlSeconds * 1000 })
    },
    async delete(key) {
      entries.delete(key)
    },
    async size() {
      entries.purgeStale()
      return entries.size
    },
    async close() {
      entries.clear()
    },
  })
}
