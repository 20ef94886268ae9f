import type { Cache, CacheStore } from './cache.ts'

/** A value that is being made. */
interface Load {
  value: Promise<Uint8Array>
  /** Whether the key was set or deleted meanwhile: then what was made is not kept. */
  isOutdated: boolean
}

/** Adds to a store what is the same for each of them: that one load serves all who ask meanwhile. */
export function withSharedLoads(store: CacheStore): Cache {
  const loads = new Map<string, Load>()

  function outdate(key: string): void {
    const load = loads.get(key)
    if (load === undefined) return
    load.isOutdated = true
    loads.delete(key)
  }

  function start(key: string, ttlSeconds: number, make: () => Promise<Uint8Array>): Load {
    const run = async () => {
      try {
        const known = await store.get(key)
        if (known !== undefined) return known
        const value = await make()
        // Nobody waits for it to be kept.
        if (!load.isOutdated) void store.set(key, value, ttlSeconds)
        return value
      } finally {
        if (!load.isOutdated) loads.delete(key)
      }
    }
    const load: Load = { value: run(), isOutdated: false }
    loads.set(key, load)
    return load
  }

  return {
    ...store,
    async set(key, value, ttlSeconds) {
      outdate(key)
      await store.set(key, value, ttlSeconds)
    },
    async delete(key) {
      outdate(key)
      await store.delete(key)
    },
    async load(key, ttlSeconds, make) {
      const { value } = loads.get(key) ?? start(key, ttlSeconds, make)
      return new Uint8Array(await value)
    },
  }
}
