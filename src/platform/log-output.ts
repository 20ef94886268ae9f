import { write, writeSync } from 'node:fs'

/** Where lines go: gathered, and written in the background. */
export interface LogOutput {
  write(line: string): void
  /** Resolves when everything is written, or can't be. */
  close(): Promise<void>
}

const CHUNK_CHARACTERS = 64 * 1024
const FLUSH_INTERVAL_MS = 250
/** What waits for a reader that is too slow, or for space; beyond it lines are dropped, not memory filled. */
const WAITING_CHARACTERS_MAX = 16 * 1024 * 1024
const CLOSE_TIMEOUT_MS = 1000
const CLOSE_POLL_MS = 5
const NOTHING = Buffer.alloc(0)

/**
 * Writes lines to an open file, such as standard output. That its disk is full, or that nobody reads
 * it any more, costs lines and nothing else: what could not be written is tried again. Not
 * sonic-boom, pino's own: there a full disk ends the process, and then keeps it from ending.
 */
export function openLogOutput(fd: number): LogOutput {
  let waiting = ''
  /** What is being written, or failed to be. */
  let rest: Uint8Array = NOTHING
  let isWriting = false
  let isFailing = false

  function flush(): void {
    if (isWriting) return
    if (rest.length === 0) {
      if (waiting === '') return
      rest = Buffer.from(waiting)
      waiting = ''
    }
    isWriting = true
    write(fd, rest, (error, written) => {
      isWriting = false
      isFailing = error !== null
      if (isFailing) return
      rest = rest.subarray(written)
      if (rest.length > 0 || waiting.length >= CHUNK_CHARACTERS) flush()
    })
  }

  const timer = setInterval(flush, FLUSH_INTERVAL_MS)
  timer.unref()
  // A bug may end the process without a close.
  const atExit = () => {
    if (isWriting || rest.length > 0) return
    try {
      writeSync(fd, waiting)
    } catch {
      // There is nowhere left to say so.
    }
  }
  process.once('exit', atExit)

  return {
    write(line) {
      if (waiting.length > WAITING_CHARACTERS_MAX) return
      waiting += line
      if (waiting.length >= CHUNK_CHARACTERS && !isFailing) flush()
    },
    async close() {
      clearInterval(timer)
      process.off('exit', atExit)
      const deadline = performance.now() + CLOSE_TIMEOUT_MS
      flush()
      do {
        await Bun.sleep(CLOSE_POLL_MS)
        if (isWriting) continue
        if (isFailing || (rest.length === 0 && waiting === '')) return
        flush()
      } while (performance.now() < deadline)
    },
  }
}
