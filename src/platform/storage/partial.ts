import { mkdirSync, readdirSync, rmSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { join } from 'node:path'

import { Unavailable } from '../unavailable.ts'
import { TooLarge } from './storage.ts'

interface Gathered {
  path: string
  bytes: number
  /** Strong, from the content: its SHA-256. */
  etag: string
}

/** A folder for files that are being written, or that only this process uses. */
export interface Partials {
  /** A path that nobody else uses, which ends in this name. */
  newPath(name: string): string
  /**
   * Writes a content into a file of its own, chunk by chunk. What breaks off is removed.
   *
   * @throws {TooLarge} beyond `bytesMax` bytes.
   * @throws {Unavailable} when the disk is full.
   */
  gather(
    content: Uint8Array | ReadableStream<Uint8Array>,
    options: { name: string; bytesMax: number; signal?: AbortSignal | undefined },
  ): Promise<Gathered>
}

/** No space, no quota, or a file that may not grow. */
const NO_SPACE = new Set(['ENOSPC', 'EDQUOT', 'EFBIG'])
const OWNER = /^(\d+)-/

/** Opens the folder, and removes what processes left there that ended without cleaning up. */
export function openPartials(directory: string): Partials {
  mkdirSync(directory, { recursive: true, mode: 0o700 })
  for (const name of readdirSync(directory)) {
    const owner = Number(OWNER.exec(name)?.[1])
    // During a restart the process before this one may still finish an upload.
    if (owner !== process.pid && isRunning(owner)) continue
    rmSync(join(directory, name), { recursive: true, force: true })
  }
  const newPath = (name: string) =>
    join(directory, `${process.pid}-${Bun.randomUUIDv7('base64url')}-${name}`)

  return {
    newPath,
    async gather(content, { name, bytesMax, signal }) {
      signal?.throwIfAborted()
      const path = newPath(name)
      const handle = await open(path, 'wx', 0o600).catch(throwNoSpace)
      try {
        const hash = new Bun.CryptoHasher('sha256')
        let bytes = 0
        for await (const chunk of chunksOf(content, signal)) {
          bytes += chunk.byteLength
          if (bytes > bytesMax) throw new TooLarge(bytesMax)
          hash.update(chunk)
          await writeWhole(handle, chunk)
        }
        signal?.throwIfAborted()
        await handle.sync()
        return { path, bytes, etag: `"${hash.digest('hex')}"` }
      } catch (error) {
        rmSync(path, { force: true })
        return throwNoSpace(error)
      } finally {
        await handle.close()
      }
    },
  }
}

export const isNoSpace = (error: unknown) =>
  error instanceof Error && 'code' in error && NO_SPACE.has(String(error.code))

/** Throws what was caught: where the disk is full, as what a caller may come back for. */
export function throwNoSpace(cause: unknown): never {
  if (!isNoSpace(cause)) throw cause
  throw new Unavailable('The disk for files', { fault: 'is full', cause })
}

/** A signal ends it at once, even where the source says nothing any more. */
async function* chunksOf(
  content: Uint8Array | ReadableStream<Uint8Array>,
  signal: AbortSignal | undefined,
): AsyncGenerator<Uint8Array> {
  if (content instanceof Uint8Array) return yield content
  const reader = content.getReader()
  const giveUp = () => void reader.cancel(signal?.reason).catch(() => {})
  signal?.addEventListener('abort', giveUp, { once: true })
  let isDone = false
  try {
    for (;;) {
      const { done, value } = await reader.read()
      isDone = done
      if (done) return
      yield value
    }
  } finally {
    signal?.removeEventListener('abort', giveUp)
    if (!isDone) await reader.cancel().catch(() => {})
  }
}

async function writeWhole(handle: Awaited<ReturnType<typeof open>>, chunk: Uint8Array) {
  for (let at = 0; at < chunk.byteLength;) {
    const { bytesWritten } = await handle.write(chunk, at, chunk.byteLength - at)
    at += bytesWritten
  }
}

function isRunning(pid: number): boolean {
  if (!Number.isInteger(pid)) return false
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EPERM'
  }
}
