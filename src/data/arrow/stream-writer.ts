import { writeFileSync } from 'node:fs'

import { BufferRegion, FieldNode, Message, RecordBatch } from 'apache-arrow/ipc/metadata/message'
import type { Schema } from 'apache-arrow/schema'

import type { Part } from './column.ts'

/** Of what begins at a multiple of them, readers can read any number in place. */
const ALIGNED_BYTES = 8
const CONTINUATION = 0xffff_ffff

/**
 * Writes the IPC stream format.
 *
 * @see https://arrow.apache.org/docs/format/Columnar.html#ipc-streaming-format
 */
export class StreamWriter {
  readonly #file: number
  #bytes = 0

  /** @param file is open, and closed by others. */
  constructor(file: number, schema: Schema) {
    this.#file = file
    this.#message(Message.encode(Message.from(schema)))
  }

  get bytes(): number {
    return this.#bytes
  }

  batch(rows: number, parts: readonly Part[]): void {
    const nodes: FieldNode[] = []
    const buffers: Uint8Array[] = []
    const add = ({ length, nulls, buffers: own, children }: Part) => {
      nodes.push(new FieldNode(length, nulls))
      buffers.push(...own)
      children.forEach(add)
    }
    parts.forEach(add)
    let end = 0
    const regions = buffers.map(({ length }) => {
      const region = new BufferRegion(end, length)
      end += aligned(length)
      return region
    })
    const header = new RecordBatch(rows, nodes, regions, null)
    this.#message(Message.encode(Message.from(header, end)))
    for (const buffer of buffers) {
      this.#write(buffer)
      this.#write(new Uint8Array(aligned(buffer.length) - buffer.length))
    }
  }

  end(): void {
    this.#write(new Uint8Array(Uint32Array.of(CONTINUATION, 0).buffer))
  }

  #message(metadata: Uint8Array): void {
    const length = aligned(metadata.length)
    this.#write(new Uint8Array(Uint32Array.of(CONTINUATION, length).buffer))
    this.#write(metadata)
    this.#write(new Uint8Array(length - metadata.length))
  }

  #write(bytes: Uint8Array): void {
    if (bytes.length === 0) return
    writeFileSync(this.#file, bytes)
    this.#bytes += bytes.length
  }
}

const aligned = (bytes: number) => Math.ceil(bytes / ALIGNED_BYTES) * ALIGNED_BYTES
