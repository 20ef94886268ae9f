/**
 * Values by key, each with a time to live. A cache may forget anything at any time, and holds a
 * bounded number of bytes. It keeps and hands out copies, each with a buffer of its own.
 */
export interface Cache {
  readonly driver: 'memory'
  get(key: string): Promise<Uint8Array | undefined>
  /** A value larger than the whole cache is not kept. */
  set(key: string, value: Uint8Array, ttlSeconds: number): Promise<void>
  delete(key: string): Promise<void>
  /** Number of entries held. */
  size(): Promise<number>
  close(): Promise<void>
}
