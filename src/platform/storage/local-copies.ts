import { rmSync } from 'node:fs'
import { basename } from 'node:path'

import { Unavailable } from '../unavailable.ts'
import { openPartials } from './partial.ts'
import { Changed, type LocalCopy, type OpenFile, type Storage, TooLarge } from './storage.ts'

export interface LocalCopies {
  /** See {@link Storage.localCopy}. */
  acquire(key: string, options?: { signal?: AbortSignal }): Promise<LocalCopy | undefined>
  /** Bytes on disk, downloads that are under way included. */
  bytesHeld(): number
  close(): void
}

/** One state of one file, on disk or on its way there. */
interface Copy {
  key: string
  etag: string
  bytes: number
  users: number
  path: Promise<string>
  /** The same, once it is there. */
  readyPath: string | undefined
  download: AbortController
}

const ATTEMPTS_MAX = 3

/**
 * Copies of files on the disk of this machine, in at most `bytesMax` bytes: the least recently used
 * ones go first, those in use never.
 *
 * @param options.open opens the file where it really is.
 */
export function createLocalCopies(options: {
  directory: string
  bytesMax: number
  open: Storage['open']
}): LocalCopies {
  const { directory, bytesMax, open } = options
  const partials = openPartials(directory)
  /** The latest state of each key, the least recently used one first. */
  const latest = new Map<string, Copy>()
  const all = new Set<Copy>()
  let bytesHeld = 0

  /** Space is taken before the download begins, so that many at once stay within the bound too. */
  function reserve(bytes: number): void {
    if (bytes > bytesMax) throw new TooLarge(bytesMax)
    for (const copy of latest.values()) {
      if (bytesHeld + bytes <= bytesMax) break
      if (copy.users === 0) remove(copy)
    }
    if (bytesHeld + bytes > bytesMax) {
      throw new Unavailable('The space for local copies of files', { retryAfterSeconds: 1 })
    }
    bytesHeld += bytes
  }

  function remove(copy: Copy): void {
    if (latest.get(copy.key) === copy) latest.delete(copy.key)
    if (!all.delete(copy)) return
    bytesHeld -= copy.bytes
    copy.download.abort()
    if (copy.readyPath !== undefined) rmSync(copy.readyPath, { force: true })
    // It may have come to its end just before the abort.
    else void copy.path.then((path) => rmSync(path, { force: true })).catch(() => {})
  }

  /** Nobody will ask for an outdated copy, nor wait for a download that all have given up. */
  function leave(copy: Copy): void {
    copy.users -= 1
    if (copy.users > 0) return
    if (copy.readyPath === undefined || latest.get(copy.key) !== copy) remove(copy)
  }

  function download(opened: OpenFile): Copy {
    const { key, etag, bytes } = opened.file
    reserve(bytes)
    const controller = new AbortController()
    const { signal } = controller
    const gathered = partials.gather(opened.stream({ signal }), {
      name: basename(key),
      bytesMax: bytes,
      signal,
    })
    const path = gathered.then((partial) => {
      return (copy.readyPath = partial.path)
    })
    const copy: Copy = {
      key,
      etag,
      bytes,
      users: 1,
      path,
      readyPath: undefined,
      download: controller,
    }
    path.catch(() => remove(copy))
    all.add(copy)
    return copy
  }

  /** The copy of this state, with one user more. */
  async function copyOf(opened: OpenFile): Promise<Copy> {
    const { key, etag } = opened.file
    const known = latest.get(key)
    if (known?.etag === etag) {
      // Before anything is waited for, so that it is not evicted meanwhile.
      known.users += 1
      await opened.close()
      return known
    }
    const copy = download(opened)
    if (known !== undefined && known.users === 0) remove(known)
    latest.set(key, copy)
    return copy
  }

  async function acquire(key: string, signal: AbortSignal | undefined) {
    const opened = await open(key, signal === undefined ? {} : { signal })
    const outdated = latest.get(key)
    if (opened === undefined) {
      if (outdated?.users === 0) remove(outdated)
      return undefined
    }
    const { file } = opened
    let copy: Copy
    try {
      copy = await copyOf(opened)
    } catch (error) {
      await opened.close()
      throw error
    }
    try {
      const path = await unlessAborted(copy.path, signal)
      // The most recently used one stands last.
      if (latest.get(key) === copy) {
        latest.delete(key)
        latest.set(key, copy)
      }
      let isReleased = false
      const release = () => {
        if (isReleased) return
        isReleased = true
        leave(copy)
      }
      return { file, path, release }
    } catch (error) {
      leave(copy)
      throw error
    }
  }

  return {
    async acquire(key, { signal } = {}) {
      for (let attempt = 1; ; attempt += 1) {
        try {
          return await acquire(key, signal)
        } catch (error) {
          if (!(error instanceof Changed) || attempt === ATTEMPTS_MAX) throw error
        }
      }
    },
    bytesHeld: () => bytesHeld,
    close() {
      for (const copy of all) remove(copy)
    },
  }
}

/** Who gives up stops waiting; the download goes on for the others. */
function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return promise
  const { promise: aborted, reject } = Promise.withResolvers<never>()
  const onAbort = () => reject(signal.reason)
  if (signal.aborted) onAbort()
  signal.addEventListener('abort', onAbort, { once: true })
  return Promise.race([promise, aborted]).finally(() =>
    signal.removeEventListener('abort', onAbort),
  )
}
