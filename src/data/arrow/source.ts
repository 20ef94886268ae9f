import { Message } from 'apache-arrow/fb/message'
import { MetadataVersion } from 'apache-arrow/fb/metadata-version'
import { ByteBuffer } from 'flatbuffers'

import { Refused } from '../engine/refused.ts'

export const damaged = (what: string) => new Refused(`The Arrow file is damaged: ${what}.`)

const CONTINUATION = 0xffff_ffff
/** That of thousands of columns has some hundred kilobytes. */
const METADATA_BYTES_MAX = 2 ** 26

/** An encapsulated message: its metadata, and where its body begins. */
export interface Encapsulated {
  message: Message
  bodyAt: number
}

/** What is read of a file, by where it is: nothing that the file is too short for. */
export class Source {
  readonly #bytes: Uint8Array

  /** @param path of a file that has something in it, and that nobody changes. */
  constructor(path: string) {
    this.#bytes = Bun.mmap(path)
  }

  get size(): number {
    return this.#bytes.length
  }

  /** The memory of the file itself. */
  read(at: number, length: number): Uint8Array {
    if (!(at >= 0 && length >= 0 && at + length <= this.size)) throw damaged('it ends too early')
    return this.#bytes.subarray(at, at + length)
  }

  number(at: number): number {
    const bytes = this.read(at, 4)
    return new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true)
  }

  /**
   * @returns nothing where messages end: by a length of none, or with the file.
   * @see https://arrow.apache.org/docs/format/Columnar.html#encapsulated-message-format
   */
  message(at: number): Encapsulated | undefined {
    if (at === this.size) return undefined
    const first = this.number(at)
    // Until version 0.15 the length came first.
    const isOld = first !== CONTINUATION
    const length = isOld ? first : this.number(at + 4)
    if (length === 0) return undefined
    if (length > METADATA_BYTES_MAX) throw damaged('a message is longer than any is')
    const from = at + (isOld ? 4 : 8)
    const message = Message.getRootAsMessage(new ByteBuffer(this.read(from, length)))
    if (message.version() < MetadataVersion.V4) {
      throw new Refused('The Arrow file is of a version before 0.8. Write it by a newer one.')
    }
    return { message, bodyAt: from + length }
  }
}
