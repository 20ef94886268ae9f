/** Of what did not load: a disk or an object storage may be back. */
export const RETRY_MS = 30_000

/**
 * Which versions are in memory only since somebody asked for them by number: up to so many, the one asked
 * longest ago goes first. And which of them did not load, and are not tried again for a while.
 */
export interface AskedVersions {
  has(id: string): boolean
  /** Moves it to those that were asked for last, if it is one of them. */
  touch(id: string): void
  /** Whether it is worth another try. */
  mayLoad(id: string): boolean
  /**
   * Takes one in while it loads.
   *
   * @returns the name of the model of which another had to go, if one had to.
   */
  begin(id: string, name: string): string | undefined
  /** It is in memory, or did not load: by a fault of its own, or not. */
  end(id: string, result: 'loaded' | 'failed' | 'refused'): void
  forget(id: string): void
  /** What did not load of a model is worth a try again. */
  forgive(name: string): void
}

export function createAskedVersions(max: number): AskedVersions {
  /** Ids and the names of their models, the one asked last at the end. */
  const asked = new Map<string, string>()
  /** Those that are on their way to who asked. */
  const awaited = new Set<string>()
  const refused = new Map<string, { name: string; at: number }>()

  function removeOldest(): string | undefined {
    for (const [id, name] of asked) {
      if (awaited.has(id)) continue
      asked.delete(id)
      return name
    }
    return undefined
  }

  return {
    has: (id) => asked.has(id),
    touch(id) {
      const name = asked.get(id)
      if (name === undefined) return
      asked.delete(id)
      asked.set(id, name)
    },
    mayLoad(id) {
      const at = refused.get(id)?.at
      return at === undefined || performance.now() - at >= RETRY_MS
    },
    begin(id, name) {
      const outgoing = asked.size < max ? undefined : removeOldest()
      asked.set(id, name)
      awaited.add(id)
      return outgoing
    },
    end(id, result) {
      awaited.delete(id)
      if (result === 'loaded') return
      const name = asked.get(id)
      asked.delete(id)
      if (result === 'refused' && name !== undefined)
        refused.set(id, { name, at: performance.now() })
    },
    forget: (id) => void asked.delete(id),
    forgive(name) {
      for (const [id, { name: of }] of refused) if (of === name) refused.delete(id)
    },
  }
}
