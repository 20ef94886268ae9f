/** Work of which one piece a key is done at a time, in the order in which it came. */
export interface Lines {
  join<T>(key: string, work: () => Promise<T>): Promise<T>
  /** Resolves when all that is in line now is done, or has failed. */
  settled(): Promise<void>
}

export function createLines(): Lines {
  const last = new Map<string, Promise<unknown>>()
  return {
    join(key, work) {
      const result = (last.get(key) ?? Promise.resolve()).then(work)
      const settled: Promise<unknown> = Promise.allSettled([result]).finally(() => {
        if (last.get(key) === settled) last.delete(key)
      })
      last.set(key, settled)
      return result
    },
    async settled() {
      await Promise.all(last.values())
    },
  }
}
