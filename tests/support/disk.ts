import { mkdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

import { newDirectory } from './server.ts'

/** A disk that a test can fill, and make room on again. */
export interface Disk {
  /** A folder on it. */
  directory: string
  /** From now on no file of this process can grow. */
  fill(pid: number): void
  /** Without an id the process has ended. */
  free(pid?: number): void
  remove(): void
}

const SIZE = '16m'
const FILL_BYTES = 64 * 1024

function run(...command: string[]): void {
  const { exitCode, stderr } = Bun.spawnSync(command)
  if (exitCode !== 0) throw new Error(`${command.join(' ')}: ${stderr.toString()}`)
}

/** A small disk in memory, or why there can't be one. */
export function mountDisk(): Disk | string {
  if (process.getuid?.() !== 0) return 'only root may mount a disk'
  const mountpoint = newDirectory()
  try {
    run('mount', '-t', 'tmpfs', '-o', `size=${SIZE}`, 'tmpfs', mountpoint)
  } catch (error) {
    rmSync(mountpoint, { recursive: true })
    return error instanceof Error ? error.message : String(error)
  }
  const directory = join(mountpoint, 'data')
  mkdirSync(directory)
  const filling = join(mountpoint, 'filling')
  return {
    directory,
    fill() {
      for (let bytes = FILL_BYTES; bytes >= 1;) {
        try {
          writeFileSync(filling, new Uint8Array(bytes), { flag: 'a' })
        } catch {
          bytes = Math.floor(bytes / 2)
        }
      }
    },
    free: () => rmSync(filling),
    remove() {
      run('umount', mountpoint)
      rmSync(mountpoint, { recursive: true })
    },
  }
}

/** Any user's way to a full disk: the kernel refuses to let files grow, by EFBIG in place of ENOSPC. */
export function limitedDisk(): Disk {
  const directory = newDirectory()
  const limit = (pid: number, bytes: number | 'unlimited') =>
    run('prlimit', `--pid=${pid}`, `--fsize=${bytes}:`)
  return {
    directory,
    fill: (pid) => limit(pid, statSync(join(directory, 'quintet.db-wal')).size),
    free(pid) {
      if (pid !== undefined) limit(pid, 'unlimited')
    },
    remove: () => rmSync(directory, { recursive: true }),
  }
}
