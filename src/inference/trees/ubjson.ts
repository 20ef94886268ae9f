import { UnreadableModel } from '../unreadable-model.ts'

const utf8 = new TextDecoder('utf-8', { fatal: true })

/** Deeper than any document of XGBoost, and shallow enough for the stack. */
const DEPTH_MAX = 64

/** How many bytes a number of each type has; those of an array of one type lie side by side. */
const SIZES: Readonly<Record<string, number>> = { i: 1, U: 1, I: 2, l: 4, L: 8, d: 4, D: 8 }

/** Whether a file may be UBJSON: an object whose first key has a length, or that is counted. */
export const looksLikeUbjson = (bytes: Uint8Array) =>
  bytes[0] === 0x7b && bytes[1] !== undefined && /[iUIlL#$N]/.test(String.fromCharCode(bytes[1]))

/**
 * Reads a document of Universal Binary JSON, draft 12, in which XGBoost saves by default since 2.1.
 * 64-bit integers become numbers; arrays of one numeric type stay arrays of numbers.
 *
 * @throws {UnreadableModel} with the position of what is wrong.
 */
export function readUbjson(bytes: Uint8Array): unknown {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  let at = 0

  function wrong(reason: string): never {
    throw new UnreadableModel(`The file is no UBJSON: at byte ${at} ${reason}.`)
  }

  function take(size: number): number {
    if (size < 0 || size > bytes.length - at) wrong(`${size} more are expected, and it ends`)
    const from = at
    at += size
    return from
  }

  function marker(): string {
    let found: string
    do found = String.fromCharCode(view.getUint8(take(1)))
    while (found === 'N')
    return found
  }

  function number(type: string): number {
    const from = take(SIZES[type] ?? wrong(`"${type}" is no type of a number`))
    switch (type) {
      case 'i':
        return view.getInt8(from)
      case 'U':
        return view.getUint8(from)
      case 'I':
        return view.getInt16(from)
      case 'l':
        return view.getInt32(from)
      case 'L':
        return Number(view.getBigInt64(from))
      case 'd':
        return view.getFloat32(from)
      default:
        return view.getFloat64(from)
    }
  }

  function length(): number {
    const found = number(marker())
    if (!Number.isSafeInteger(found) || found < 0) wrong(`${found} is no length`)
    return found
  }

  function text(): string {
    const size = length()
    const from = take(size)
    try {
      return utf8.decode(bytes.subarray(from, from + size))
    } catch {
      return wrong('a text is no UTF-8')
    }
  }

  /** What may stand before the items: their type, if it is one, and their number. */
  function head(): { type: string | undefined; count: number | undefined } {
    let type: string | undefined
    if (bytes[at] === 0x24) {
      take(1)
      type = marker()
      if (bytes[at] !== 0x23) wrong('a type without a number of items')
    }
    if (bytes[at] !== 0x23) return { type, count: undefined }
    take(1)
    return { type, count: length() }
  }

  /** Whether another item follows; the end of what has no number of items is read too. */
  function hasMore(done: number, count: number | undefined, end: number): boolean {
    if (count !== undefined) return done < count
    while (bytes[at] === 0x4e) take(1)
    if (bytes[at] !== end) return true
    take(1)
    return false
  }

  function array(depth: number): unknown[] {
    const { type, count } = head()
    if (count !== undefined && count > bytes.length) wrong(`${count} items are more than there is`)
    const size = type === undefined ? undefined : SIZES[type]
    if (type !== undefined && size !== undefined && count !== undefined) {
      if (size * count > bytes.length - at) wrong(`${count} items are more than there is`)
      return Array.from({ length: count }, () => number(type))
    }
    const items: unknown[] = []
    while (hasMore(items.length, count, 0x5d)) items.push(value(type ?? marker(), depth + 1))
    return items
  }

  function object(depth: number): Record<string, unknown> {
    const { type, count } = head()
    const members: Record<string, unknown> = Object.create(null)
    for (let done = 0; hasMore(done, count, 0x7d); done++) {
      const key = text()
      members[key] = value(type ?? marker(), depth + 1)
    }
    return members
  }

  function value(type: string, depth: number): unknown {
    if (depth > DEPTH_MAX) wrong(`it is nested more than ${DEPTH_MAX} deep`)
    switch (type) {
      case '{':
        return object(depth)
      case '[':
        return array(depth)
      case 'S':
        return text()
      case 'C':
        return String.fromCharCode(view.getUint8(take(1)))
      case 'Z':
        return null
      case 'T':
        return true
      case 'F':
        return false
      case 'H':
        return Number(text())
      default:
        return number(type)
    }
  }

  const document = value(marker(), 0)
  if (at < bytes.length) wrong('something follows the document')
  return document
}
