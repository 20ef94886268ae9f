import { zstdDecompressSync } from 'node:zlib'

import { CompressionType } from 'apache-arrow/fb/compression-type'

import type { Budget } from './budget.ts'
import { decompressLz4 } from './lz4.ts'
import { damaged } from './source.ts'

/** That it is not compressed, because that would not have made it smaller. */
const AS_IT_IS = -1n

/** A buffer of a compressed batch: first how long it is to be. */
export function decompressed(
  buffer: Uint8Array,
  codec: CompressionType,
  budget: Budget,
): Uint8Array {
  if (buffer.length === 0) return buffer
  if (buffer.length < 8) throw notWhole()
  const length = new DataView(buffer.buffer, buffer.byteOffset).getBigInt64(0, true)
  const compressed = buffer.subarray(8)
  if (length === AS_IT_IS) return compressed
  if (length < 0n) throw notWhole()
  budget.spend(Number(length))
  const bytes = expand(compressed, codec, Number(length))
  if (bytes?.length !== Number(length)) throw notWhole()
  return bytes
}

function expand(
  compressed: Uint8Array,
  codec: CompressionType,
  length: number,
): Uint8Array | undefined {
  if (codec === CompressionType.LZ4_FRAME) return decompressLz4(compressed, length)
  if (length === 0) return new Uint8Array()
  try {
    return zstdDecompressSync(compressed, { maxOutputLength: length })
  } catch {
    return undefined
  }
}

const notWhole = () => damaged('what is compressed in it is not whole')
