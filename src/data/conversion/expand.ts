import { createReadStream, createWriteStream } from 'node:fs'
import { Transform } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { createGunzip, createZstdDecompress } from 'node:zlib'

import { Refused } from '../engine/refused.ts'
import type { Compression } from './upload-format.ts'

const NAMES = { gzip: 'gzip', zstd: 'Zstandard' }

/** @throws {Refused} beyond `bytesMax` bytes, and for what is broken off or something else. */
export async function expand(
  source: string,
  target: string,
  compression: Exclude<Compression, 'none'>,
  bytesMax: number,
): Promise<void> {
  let bytes = 0
  const bounded = new Transform({
    transform(chunk: Uint8Array, _, done) {
      bytes += chunk.byteLength
      if (bytes > bytesMax) done(new Refused(`Expanded, it has more than ${bytesMax} bytes.`))
      else done(null, chunk)
    },
  })
  const expander = compression === 'gzip' ? createGunzip() : createZstdDecompress()
  try {
    await pipeline(createReadStream(source), expander, bounded, createWriteStream(target))
  } catch (cause) {
    if (cause instanceof Refused) throw cause
    if (isOfDisk(cause)) throw cause
    throw new Refused(`It is broken off, or no ${NAMES[compression]}.`)
  }
}

const isOfDisk = (error: unknown) =>
  error instanceof Error && 'syscall' in error && error.syscall !== undefined
