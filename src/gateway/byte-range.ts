import type { ByteRange } from '../platform/storage/storage.ts'

const RANGE = /^bytes=(\d{0,15})-(\d{0,15})$/

/**
 * The part that a Range header asks for (RFC 9110, 14.2), `undefined` where the whole is to be sent: a
 * header that is not of this form, or that names several parts, may be ignored.
 *
 * @returns 'beyond' where nothing of it is there.
 */
export function byteRangeOf(
  header: string | null,
  bytes: number,
): ByteRange | 'beyond' | undefined {
  const [, first = '', last = ''] = RANGE.exec(header ?? '') ?? []
  if (first === '' && last === '') return undefined
  if (first === '') {
    const length = Math.min(Number(last), bytes)
    return length === 0 ? 'beyond' : { start: bytes - length, end: bytes - 1 }
  }
  const start = Number(first)
  const end = last === '' ? bytes - 1 : Math.min(Number(last), bytes - 1)
  if (last !== '' && Number(last) < start) return undefined
  return start >= bytes ? 'beyond' : { start, end }
}
