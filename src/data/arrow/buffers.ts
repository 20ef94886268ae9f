import { BodyCompressionMethod } from 'apache-arrow/fb/body-compression-method'
import type { RecordBatch } from 'apache-arrow/fb/record-batch'

import type { Budget } from './budget.ts'
import { decompressed } from './compression.ts'
import { damaged } from './source.ts'

/** What a batch has of its columns and of those inside them, one after the other. */
export interface Buffers {
  node(): { length: number; nulls: number }
  /** @throws {Refused} where it is shorter. */
  next(bytesMin: number): Uint8Array
  /** As many as the column of views has beside the views themselves. */
  views(): Uint8Array[]
}

const ROWS_MAX = 2 ** 31 - 1

export function buffersOf(header: RecordBatch, body: Uint8Array, budget: Budget): Buffers {
  const codec = codecOf(header)
  let [nodes, buffers, counts] = [0, 0, 0]
  const one = (): Uint8Array => {
    const region = buffers < header.buffersLength() ? header.buffers(buffers) : null
    if (region === null) throw damaged('a batch has fewer buffers than its columns need')
    buffers += 1
    const [from, length] = [Number(region.offset()), Number(region.length())]
    if (from < 0 || length < 0 || from + length > body.length) {
      throw damaged('a buffer is not inside its batch')
    }
    const bytes = body.subarray(from, from + length)
    return codec === undefined ? bytes : decompressed(bytes, codec, budget)
  }
  return {
    node() {
      const node = nodes < header.nodesLength() ? header.nodes(nodes) : null
      if (node === null) throw damaged('a batch has fewer columns than the schema')
      nodes += 1
      const length = Number(node.length())
      if (length < 0 || length > ROWS_MAX) throw damaged('a column is longer than any is')
      return { length, nulls: Number(node.nullCount()) }
    },
    next(bytesMin) {
      const bytes = one()
      if (bytes.length < bytesMin) throw damaged('a buffer is too short for its column')
      return bytes
    },
    views() {
      const hasCount = counts < header.variadicBufferCountsLength()
      const length = hasCount ? Number(header.variadicBufferCounts(counts)) : 0
      counts += 1
      if (length < 0 || length > header.buffersLength()) {
        throw damaged('a batch has fewer buffers than its columns need')
      }
      return Array.from({ length }, one)
    },
  }
}

function codecOf(header: RecordBatch) {
  const compression = header.compression()
  if (compression === null) return undefined
  if (compression.method() !== BodyCompressionMethod.BUFFER) {
    throw damaged('it is compressed in an unknown way')
  }
  return compression.codec()
}
