import type { Log } from '../../platform/log.ts'
import { inferenceProblems } from '../problems.ts'
import { isOutOfMemory } from './out-of-memory.ts'
import type { AdmissionOrder, Verdict } from './verdict.ts'

/** Judges uploads, each in a process of its own, which ends with it. */
export interface Admission {
  /**
   * @throws {Problem} 503 where too many wait, or `signal` ends it.
   */
  judge(order: AdmissionOrder, signal: AbortSignal): Promise<Verdict>
}

const SCRIPT = new URL('admission.process.ts', import.meta.url).pathname
const RETRY_AFTER = { 'retry-after': '5' }
const KIBIBYTE = 1024
/** What it says is a manifest, or faults. */
const OUTPUT_BYTES_MAX = 64 * KIBIBYTE * KIBIBYTE
const SHOWN_CHARACTERS_MAX = 2_000

/**
 * The limit of memory is the kernel's (RLIMIT_DATA): what a file asks for beyond it is refused, and harms
 * nobody else; where there is a lower one already, or the system has none, it stays as it is. No core is left behind, and nothing of the server's environment is there to be read.
 */
const LIMITED = 'ulimit -c 0; ulimit -d "$1" 2>/dev/null; shift; exec "$@"'

export function createAdmission(options: {
  timeoutMs: number
  memoryBytesMax: number
  /** That may wait while one is judged. */
  queueMax: number
  log: Log
}): Admission {
  const { timeoutMs, memoryBytesMax, queueMax, log } = options
  let waiting = 0
  let turn: Promise<unknown> = Promise.resolve()

  async function run(order: AdmissionOrder, signal: AbortSignal): Promise<Verdict> {
    signal.throwIfAborted()
    const limit = String(Math.floor(memoryBytesMax / KIBIBYTE))
    const child = Bun.spawn(
      ['/bin/sh', '-c', LIMITED, 'admission', limit, process.execPath, SCRIPT],
      {
        stdin: Buffer.from(JSON.stringify(order)),
        stdout: 'pipe',
        stderr: 'pipe',
        env: {},
        timeout: timeoutMs,
        killSignal: 'SIGKILL',
        maxBuffer: OUTPUT_BYTES_MAX,
      },
    )
    const end = () => child.kill('SIGKILL')
    signal.addEventListener('abort', end, { once: true })
    const startedAt = performance.now()
    try {
      const [said, complained] = await Promise.all([
        new Response(child.stdout).text(),
        new Response(child.stderr).text(),
      ])
      const code = await child.exited
      signal.throwIfAborted()
      if (code === 0) return JSON.parse(said) as Verdict
      log.warn(
        { code, signal: child.signalCode, said: complained.slice(0, SHOWN_CHARACTERS_MAX) },
        'a model that was uploaded ended the process that tried it',
      )
      const isLate = performance.now() - startedAt >= timeoutMs
      return refused(isLate ? tooSlow() : broken(complained))
    } finally {
      signal.removeEventListener('abort', end)
    }
  }

  const tooSlow = () =>
    `The file took longer than ${timeoutMs / 1000} seconds to load and to run once.`

  function broken(complained: string): string {
    const mebibytes = Math.floor(memoryBytesMax / KIBIBYTE / KIBIBYTE)
    return isOutOfMemory(complained)
      ? `To load the file and to run it once takes more than ${mebibytes} MiB of memory.`
      : `The file ended the runtime that tried it: it is damaged, or takes more than ${mebibytes} MiB of memory.`
  }

  return {
    async judge(order, signal) {
      if (waiting >= queueMax) {
        const detail = `${waiting} uploads are waiting to be tried.`
        throw inferenceProblems.overloaded({ detail, headers: RETRY_AFTER })
      }
      waiting += 1
      // One at a time: each may take the memory that it is allowed.
      const judged = turn.then(() => run(order, signal))
      turn = judged.catch(() => {})
      try {
        return await judged
      } finally {
        waiting -= 1
      }
    },
  }
}

const refused = (detail: string): Verdict => ({
  isAdmitted: false,
  of: 'model',
  faults: [{ path: [], detail }],
})
