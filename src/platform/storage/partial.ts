import { mkdirSync, readdirSync, renameSync, rmSync, statSync } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import { join } from 'node:path'

import { Unavailable } from '../unavailable.ts'
import { type OwnFile, TooLarge } from './storage.ts'

interface Gathered {
  path: string
  bytes: number
  /** Strong: the SHA-256 of the content, or of a file that is unique a name that no other has. */
  etag: string
}

/** A folder for files that are being written, or that only this process uses. */
export interface Partials {
  /** A path that nobody else uses, which ends in this name. */
  newPath(name: string): string
  /**
   * Writes a content into a file of its own, chunk by chunk; one that is a file is moved where that can be. What
   * breaks off is removed.
   *
   * @throws {TooLarge} beyond `bytesMax` bytes.
   * @throws {Unavailable} when the disk is full.
   */
  gather(
    content: Uint8Array | ReadableStream<Uint8Array> | OwnFile,
    options: GatherOptions,
  ): Promise<Gathered>
}

interface GatherOptions {
  name: string
  bytesMax: number
  signal?: AbortSignal | undefined
}

/** No space, no quota, or a file that may not grow. */
const NO_SPACE = new Set(['ENOSPC', 'EDQUOT', 'EFBIG'])
const OWNER = /^(\d+)-/
const CHUNK_BYTES = 2 ** 20

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

  async function write(
    content: Uint8Array | ReadableStream<Uint8Array>,
    { name, bytesMax, signal }: GatherOptions,
  ): Promise<Gathered> {
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
  }

  async function takeOver(
    { path: own, isUnique = false }: OwnFile,
    { name, bytesMax, signal }: GatherOptions,
  ): Promise<Gathered> {
    const path = newPath(name)
    renameSync(own, path)
    const handle = await open(path, 'r')
    try {
      await handle.chmod(0o600)
      const { size: bytes } = await handle.stat()
      if (bytes > bytesMax) throw new TooLarge(bytesMax)
      // While it comes to the disk it is hashed.
      const etag = isUnique ? `"${Bun.randomUUIDv7()}"` : etagOf(handle, signal)
      await Promise.all([etag, handle.sync()])
      return { path, bytes, etag: await etag }
    } catch (error) {
      rmSync(path, { force: true })
      return throwNoSpace(error)
    } finally {
      await handle.close()
    }
  }

  return {
    newPath,
    async gather(content, options) {
      options.signal?.throwIfAborted()
      if (!('path' in content)) return write(content, options)
      const isNear = statSync(content.path).dev === statSync(directory).dev
      return isNear ? takeOver(content, options) : write(Bun.file(content.path).stream(), options)
    },
  }
}

async function etagOf(handle: FileHandle, signal: AbortSignal | undefined): Promise<string> {
  const hash = new Bun.CryptoHasher('sha256')
  const chunk = new Uint8Array(CHUNK_BYTES)
  for (let at = 0; ;) {
    signal?.throwIfAborted()
    const { bytesRead } = await handle.read(chunk, 0, chunk.byteLength, at)
    if (bytesRead === 0) return `"${hash.digest('hex')}"`
    hash.update(chunk.subarray(0, bytesRead))
    at += bytesRead
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
