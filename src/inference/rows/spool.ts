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
}

/**
 * A stream of pieces that are made as fast as they can be, whether or not somebody reads: what is not read yet
 * waits in memory, and then in a file. Most clients send all of a request before they read any of its answer, and
 * would wait for each other for ever with a server that reads no more than it has answered.
 */
export function spooled(
  pieces: AsyncGenerator<string>,
  { partials, bytesMax }: SpoolOptions,
): ReadableStream<Uint8Array> {
  const encoder = new TextEncoder()
  let waiting: Uint8Array[] = []
  let waitingBytes = 0
  let file: Awaited<ReturnType<typeof openFile>> | undefined
  let isOver = false
  let failure: unknown
  let hear = Promise.withResolvers<void>()
  const reader = { isGone: false }

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
    await file.handle.write(content, 0, content.byteLength, file.written)
    file.written += content.byteLength
  }

  async function fill(): Promise<void> {
    try {
      for await (const piece of pieces) {
        const bytes = encoder.encode(piece)
        waiting.push(bytes)
        waitingBytes += bytes.byteLength
        if (waitingBytes > MEMORY_BYTES_MAX) await toFile()
        wake()
        while (unread() > bytesMax && !reader.isGone) await hear.promise
        if (reader.isGone) return
      }
    } catch (error) {
      failure = error
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
    reader.isGone = true
    wake()
    await filling
    await file?.handle.close()
    if (file !== undefined) await Bun.file(file.path).delete()
  }

  const filling = fill()
  return new ReadableStream<Uint8Array>({
    async pull(controller) {
      for (;;) {
        const stored = await fromFile()
        const next = stored ?? waiting.shift()
        if (next !== undefined) {
          if (stored === undefined) waitingBytes -= next.byteLength
          controller.enqueue(next)
          return wake()
        }
        if (isOver) break
        await hear.promise
      }
      await close()
      if (failure === undefined) controller.close()
      else throw failure
    },
    async cancel() {
      reader.isGone = true
      wake()
      await pieces.return(undefined).catch(() => {})
      await close()
    },
  })
}
