import { UnreadableModel } from '../unreadable-model.ts'

/** How a field is written: what of its tag says what follows. */
const VARINT = 0
const EIGHT_BYTES = 1
const LENGTH = 2
const FOUR_BYTES = 5

const VARINT_BYTES_MAX = 10

const utf8 = new TextDecoder('utf-8')
const strictUtf8 = new TextDecoder('utf-8', { fatal: true })

/**
 * One message of Protocol Buffers, whose fields are read one after another, where they lie:
 *
 *     while (message.next()) if (message.field === 7) …
 *
 * Whatever the bytes are, each is read once. Groups, which no ONNX file has, are refused.
 */
export class Message {
  readonly bytes: Uint8Array
  readonly end: number
  #at: number

  /** Of the current field: its number, how it is written, and where its tag begins. */
  field = 0
  wire = VARINT
  start = 0
  /** Of a varint: its value without a sign, exact up to 2⁵³; of all others 0. */
  value = 0
  /** Where its content lies. */
  from = 0
  to = 0

  constructor(bytes: Uint8Array, from = 0, end = bytes.length) {
    this.bytes = bytes
    this.end = end
    this.#at = from
  }

  /**
   * Goes to the next field.
   *
   * @returns whether there is one.
   * @throws {UnreadableModel} with the position of what is wrong.
   */
  next(): boolean {
    if (this.#at >= this.end) return false
    this.start = this.#at
    this.value = 0
    const tag = this.#varint()
    this.wire = tag % 8
    this.field = (tag - this.wire) / 8
    if (this.field === 0 || this.field >= 2 ** 29) this.#wrong(`${this.field} is no field`)
    switch (this.wire) {
      case VARINT:
        this.from = this.#at
        this.value = this.#varint()
        this.to = this.#at
        return true
      case EIGHT_BYTES:
        return this.#content(8)
      case LENGTH:
        return this.#content(this.#varint())
      case FOUR_BYTES:
        return this.#content(4)
      default:
        return this.#wrong(`a field of the kind ${this.wire} has no place in it`)
    }
  }

  /** Whether the field is this one, and holds a text, a message or packed numbers. */
  holds(field: number): boolean {
    return this.field === field && this.wire === LENGTH
  }

  /** The field as a message of its own. */
  message(): Message {
    return new Message(this.bytes, this.from, this.to)
  }

  /** The field as a text. */
  text(): string {
    return utf8.decode(this.bytes.subarray(this.from, this.to))
  }

  /** The field as a text that is more than a name. @throws {UnreadableModel} if it is no UTF-8. */
  strictText(): string {
    try {
      return strictUtf8.decode(this.bytes.subarray(this.from, this.to))
    } catch {
      return this.#wrong('a text is no UTF-8')
    }
  }

  /** The whole numbers that the field holds, be it one or many that are packed, with their sign. */
  *int64s(): Generator<bigint> {
    if (this.wire !== VARINT && this.wire !== LENGTH) return
    let at = this.from
    while (at < this.to) {
      let bits = 0n
      let shift = 0n
      let byte: number
      do {
        if (at === this.to || shift > 63n) this.#wrong('a number has no end')
        byte = this.bytes[at++]!
        bits |= BigInt(byte & 0x7f) << shift
        shift += 7n
      } while (byte >= 0x80)
      yield BigInt.asIntN(64, bits)
    }
  }

  #content(size: number): boolean {
    if (size > this.end - this.#at) this.#wrong(`${size} more bytes are expected, and it ends`)
    this.from = this.#at
    this.to = this.#at += size
    return true
  }

  #varint(): number {
    let value = 0
    let scale = 1
    for (let count = 0; count < VARINT_BYTES_MAX; count++) {
      if (this.#at >= this.end) this.#wrong('a number is expected, and it ends')
      const byte = this.bytes[this.#at++]!
      value += (byte & 0x7f) * scale
      if (byte < 0x80) return value
      scale *= 0x80
    }
    return this.#wrong(`a number has more than ${VARINT_BYTES_MAX} bytes`)
  }

  #wrong(reason: string): never {
    throw new UnreadableModel(`The ONNX file is broken: at byte ${this.start} ${reason}.`)
  }
}

/** The parts of a field that holds bytes, as it is written: tag and length, content. */
export function written(field: number, content: readonly Uint8Array[]): Uint8Array[] {
  const length = content.reduce((sum, part) => sum + part.length, 0)
  return [varint(field * 8 + LENGTH), varint(length), ...content]
}

function varint(value: number): Uint8Array {
  const bytes: number[] = []
  for (let rest = value; ; rest = Math.floor(rest / 0x80)) {
    if (rest < 0x80) return Uint8Array.from([...bytes, rest])
    bytes.push((rest % 0x80) + 0x80)
  }
}
