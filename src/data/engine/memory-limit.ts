import { readFileSync } from 'node:fs'

const KIBIBYTE = 1024
const MEBIBYTE = KIBIBYTE * KIBIBYTE
/** What DuckDB takes beyond what it counts: at least so much, and such a share of what it may. */
const UNCOUNTED_BYTES = 400 * MEBIBYTE
const UNCOUNTED_SHARE = 0.5
const COMMAND = 'prlimit'

/**
 * Has the kernel bound what a running process allocates from now on (RLIMIT_DATA): functions such as
 * `repeat` and `lpad` take memory that DuckDB does not count. From now on, since the runtime has reserved
 * some of what is bounded without using it, more or less by how much there is. No core is left behind.
 *
 * @returns `false` where the system has no such limit: there DuckDB's own is the only one.
 */
export function limitMemory(pid: number, memoryBytesMax: number): boolean {
  const taken = dataBytes(pid)
  const command = Bun.which(COMMAND)
  if (taken === undefined || command === null) return false
  const bytes = taken + allocatableBytes(memoryBytesMax)
  const limits = ['--core=0:0', `--data=${bytes}:${bytes}`]
  const { exitCode } = Bun.spawnSync([command, '--pid', String(pid), ...limits], {
    stdio: ['ignore', 'ignore', 'ignore'],
  })
  return exitCode === 0
}

/** What a process may allocate for a DuckDB that is told to keep within so much. */
export const allocatableBytes = (memoryBytesMax: number) =>
  Math.floor(memoryBytesMax + Math.max(UNCOUNTED_BYTES, memoryBytesMax * UNCOUNTED_SHARE))

/** What a process has allocated, used or not; freed memory stays in it as long as the allocator keeps it. */
export function dataBytes(pid: number): number | undefined {
  try {
    const status = readFileSync(`/proc/${pid}/status`, 'utf8')
    const kibibytes = /^VmData:\s+(\d+) kB$/m.exec(status)?.[1]
    return kibibytes === undefined ? undefined : Number(kibibytes) * KIBIBYTE
  } catch {
    return undefined
  }
}
