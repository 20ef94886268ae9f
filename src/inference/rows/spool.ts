import { open } from 'node:fs/promises'

import type { Partials } from '../../platform/storage/partial.ts'

/** What waits in memory before it goes to disk. */
const MEMORY_BYTES_MAX = 2 ** 20
const READ_BYTES = 64 * 1024

export interface SpoolOptions {
  /** Where the file is, while there is one. */
  partials: Partials
  /** That may wait for the reader; then the pieces wait too. */
  bytesMax: number
  /** Shared by all streams that are not to fill the disk together. */
  space: SpoolSpace
  /** How long nothing may be made and nothing read. */
  stallMs: number
  /** Hears why a stream broke off, which its reader is not told. */
  onFailure: (error: unknown) => void
}

/** Bytes of all streams that wait for their readers. */
interface SpoolSpace {
  readonly bytesMax: number
  usedBytes: number
}

/**
 * A stream of pieces that are made as fast as they can be, whether or not somebody reads: what is not read yet
 * waits in memory, and then in a file. Most clients send all of a request before they read any of its answer, and
 * would wait for each other for ever with a server that reads no more than it has answered.
 */
export function spooled(
  pieces: AsyncGenerator<string>,
  { partials, bytesMax, space, stallMs, onFailure }: SpoolOptions,
): ReadableStream<Uint8Array> {
  const encoder = new TextEncoder()
  let waiting: Uint8Array[] = []
  let waitingBytes = 0
  let file: Awaited<ReturnType<typeof openFile>> | undefined
  let isOver = false
  let failure: unknown
  let hear = Promise.withResolvers<void>()
  const reader = { isGone: false }
  let stirredAt = performance.now()
  const watch = setInterval(() => {
    const isStalled = unread() > 0 && performance.now() - stirredAt > stallMs
    if (isStalled) void giveUp(new Stalled(stallMs))
  }, stallMs / 4)

  async function openFile() {
    const path = partials.newPath('answer')
    const handle = await open(path, 'wx+', 0o600)
    return { path, handle, written: 0, read: 0 }
  }

  const unread = () => waitingBytes + (file === undefined ? 0 : file.written - file.read)

  function wake(): void {
    hear.resolve()
    hear = Promise.withResolvers()
  }

  /** In order: what is in the file comes before what is in memory. */
  async function toFile(): Promise<void> {
    file ??= await openFile()
    const content = Buffer.concat(waiting)
    waiting = []
    waitingBytes = 0
    // What was read to its end is room again.
    if (file.read === file.written && file.written > 0) {
      await file.handle.truncate(0)
      file.read = 0
      file.written = 0
    }
    await file.handle.write(content, 0, content.byteLength, file.written)
    file.written += content.byteLength
  }

  const isFull = () => unread() > bytesMax || (unread() > 0 && space.usedBytes > space.bytesMax)

  async function fill(): Promise<void> {
    try {
      for await (const piece of pieces) {
        const bytes = encoder.encode(piece)
        waiting.push(bytes)
        waitingBytes += bytes.byteLength
        space.usedBytes += bytes.byteLength
        stirredAt = performance.now()
        if (waitingBytes > MEMORY_BYTES_MAX) await toFile()
        wake()
        while (isFull() && !reader.isGone) await hear.promise
        if (reader.isGone) return
      }
    } catch (error) {
      failure = error
      if (!reader.isGone) onFailure(error)
    } finally {
      isOver = true
      wake()
    }
  }

  async function fromFile(): Promise<Uint8Array | undefined> {
    if (file === undefined || file.read === file.written) return undefined
    const bytes = new Uint8Array(Math.min(READ_BYTES, file.written - file.read))
    const { bytesRead } = await file.handle.read(bytes, 0, bytes.byteLength, file.read)
    file.read += bytesRead
    return bytes.subarray(0, bytesRead)
  }

  async function close(): Promise<void> {
    clearInterval(watch)
    reader.isGone = true
    wake()
    await filling
    space.usedBytes -= unread()
    waitingBytes = 0
    if (file === undefined) return
    const { handle, path } = file
    file = undefined
    await handle.close()
    await Bun.file(path).delete()
  }

  /** Nobody makes and nobody reads: what waits would lie there for as long as the connection does. */
  async function giveUp(reason: Stalled): Promise<void> {
    onFailure(reason)
    stream.error(reason)
    await pieces.return(undefined).catch(() => {})
    await close()
  }

  const filling = fill()
  let stream: ReadableStreamDefaultController<Uint8Array>
  return new ReadableStream<Uint8Array>({
    start(controller) {
      stream = controller
    },
    async pull(controller) {
      stirredAt = performance.now()
      for (;;) {
        const stored = await fromFile()
        const next = stored ?? waiting.shift()
        if (next !== undefined) {
          if (stored === undefined) waitingBytes -= next.byteLength
          space.usedBytes -= next.byteLength
          controller.enqueue(next)
          return wake()
        }
        if (isOver) break
        await hear.promise
      }
      if (reader.isGone) return undefined
      await close()
      if (failure === undefined) return controller.close()
      throw failure
    },
    async cancel() {
      reader.isGone = true
      wake()
      await pieces.return(undefined).catch(() => {})
      await close()
    },
  })
}

class Stalled extends Error {
  override name = 'Stalled'

  constructor(ms: number) {
    super(`nothing was read for ${ms / 1000} s of an answer that was there`)
  }
}
