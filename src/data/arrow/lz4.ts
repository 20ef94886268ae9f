/**
 * Decompresses a frame of LZ4, which nothing at hand does and Feather files are made of.
 *
 * @param length what comes of it, and no more.
 * @returns nothing for what is no such frame. Checksums are not looked at.
 * @see https://github.com/lz4/lz4/blob/dev/doc/lz4_Frame_format.md
 */
export function decompressLz4(frame: Uint8Array, length: number): Uint8Array | undefined {
  const view = new DataView(frame.buffer, frame.byteOffset, frame.byteLength)
  if (frame.length < HEADER_BYTES_MIN || view.getUint32(0, true) !== MAGIC) return undefined
  const flags = frame[4]!
  const hasDictionary = (flags & 1) !== 0
  if (flags >> 6 !== 1 || hasDictionary) return undefined
  let at = HEADER_BYTES_MIN + ((flags & 8) === 0 ? 0 : 8)
  const checksumBytes = (flags & 16) === 0 ? 0 : 4
  const target = new Uint8Array(length)
  let filled = 0
  while (at + 4 <= frame.length) {
    const head = view.getUint32(at, true)
    const bytes = head & 0x7fff_ffff
    at += 4
    if (head === 0) return filled === length ? target : undefined
    if (at + bytes > frame.length) return undefined
    const block = frame.subarray(at, at + bytes)
    const end = head >> 31 === 0 ? expand(block, target, filled) : copy(block, target, filled)
    if (end === undefined) return undefined
    filled = end
    at += bytes + checksumBytes
  }
  return undefined
}

const MAGIC = 0x184d_2204
const HEADER_BYTES_MIN = 7
const MATCH_BYTES_MIN = 4

function copy(block: Uint8Array, target: Uint8Array, from: number): number | undefined {
  if (from + block.length > target.length) return undefined
  target.set(block, from)
  return from + block.length
}

/**
 * Literals and matches by turns; a block ends with literals.
 *
 * @returns where it ends in the target.
 * @see https://github.com/lz4/lz4/blob/dev/doc/lz4_Block_format.md
 */
function expand(block: Uint8Array, target: Uint8Array, from: number): number | undefined {
  let at = 0
  let to = from
  /** What a length of 15 goes on with, as long as there are bytes of 255. */
  const more = (nibble: number) => {
    let length = nibble
    if (nibble !== 15) return length
    for (;;) {
      const byte = block[at++]
      if (byte === undefined) return Infinity
      length += byte
      if (byte !== 255) return length
    }
  }
  while (at < block.length) {
    const token = block[at++]!
    const literals = more(token >> 4)
    if (at + literals > block.length || to + literals > target.length) return undefined
    target.set(block.subarray(at, at + literals), to)
    at += literals
    to += literals
    if (at === block.length) return to
    const distance = block[at]! | (block[at + 1]! << 8)
    at += 2
    const length = more(token & 15) + MATCH_BYTES_MIN
    if (at > block.length || distance === 0 || distance > to || to + length > target.length) {
      return undefined
    }
    // What it repeats may be what it is only about to write.
    if (distance >= length) target.copyWithin(to, to - distance, to - distance + length)
    else
      for (let byte = 0; byte < length; byte += 1) target[to + byte] = target[to - distance + byte]!
    to += length
  }
  return to === from && block.length === 0 ? to : undefined
}
