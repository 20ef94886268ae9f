/** Where a driver keeps values by key. */
export interface CacheStore {
  readonly driver: 'memory' | 'redis'
  get(key: string): Promise<Uint8Array | undefined>
  /** A value larger than the bound in bytes is not kept, nor is what was under its key. */
  set(key: string, value: Uint8Array, ttlSeconds: number): Promise<void>
  delete(key: string): Promise<void>
  /** Number of entries held; undefined where only a walk through all of them would tell. */
  size(): Promise<number | undefined>
  close(): Promise<void>
}

/**
 * Values by key, each with a time to live. A cache may forget anything at any time, and holds a
 * bounded number of bytes. It keeps and hands out copies, each with a buffer of its own. It never
 * fails: what can't be reached is not there, and what can't be kept is not kept.
 */
export interface Cache extends CacheStore {
  /**
   * The value under the key, made where there is none. Who asks while it is being made waits for
   * the same one; so `make` must not end because one of them no longer waits.
   *
   * @throws what `make` throws, to all who wait for it. It is not kept.
   */
  load(key: string, ttlSeconds: number, make: () => Promise<Uint8Array>): Promise<Uint8Array>
}
