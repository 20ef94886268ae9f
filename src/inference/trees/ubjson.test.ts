import { describe, expect, test } from 'bun:test'

import { UnreadableModel } from '../unreadable-model.ts'
import { readUbjson } from './ubjson.ts'

const text = new TextEncoder()

/** Bytes of markers, numbers as bytes, and texts. */
const bytes = (...parts: (string | number | Uint8Array)[]): Uint8Array =>
  Buffer.concat(
    parts
      .map((part) =>
        typeof part === 'string' ? text.encode(part) : typeof part === 'number' ? [part] : part,
      )
      .map((part) => Uint8Array.from(part)),
  )

function big(size: number, write: (view: DataView) => void): Uint8Array {
  const buffer = new ArrayBuffer(size)
  write(new DataView(buffer))
  return new Uint8Array(buffer)
}

describe('a document', () => {
  test.each<[name: string, document: Uint8Array, value: unknown]>([
    ['a null', bytes('Z'), null],
    ['truth', bytes('[TF]'), [true, false]],
    ['an int8', bytes('i', 0xfe), -2],
    ['a uint8', bytes('U', 0xfe), 254],
    ['an int16', bytes('I', 0xff, 0xfe), -2],
    ['an int32', bytes('l', 0xff, 0xff, 0xff, 0xfe), -2],
    [
      'an int64',
      bytes(
        'L',
        big(8, (view) => view.setBigInt64(0, -5n)),
      ),
      -5,
    ],
    [
      'a float32',
      bytes(
        'd',
        big(4, (view) => view.setFloat32(0, 0.5)),
      ),
      0.5,
    ],
    [
      'a float64',
      bytes(
        'D',
        big(8, (view) => view.setFloat64(0, 0.1)),
      ),
      0.1,
    ],
    ['a number in digits', bytes('HU', 3, '1e3'), 1000],
    ['a character', bytes('Cx'), 'x'],
    ['a text', bytes('SU', 3, 'aé'), 'aé'],
    ['an array with an end', bytes('[U', 1, 'U', 2, ']'), [1, 2]],
    ['an array that is counted', bytes('[#U', 2, 'U', 1, 'Z'), [1, null]],
    ['an array of one type', bytes('[$U#U', 3, 1, 2, 3), [1, 2, 3]],
    [
      'an array of floats',
      bytes(
        '[$d#U',
        1,
        big(4, (view) => view.setFloat32(0, -2)),
      ),
      [-2],
    ],
    ['nothing between', bytes('[NU', 1, 'N]'), [1]],
    ['an object with an end', bytes('{U', 1, 'a', 'U', 7, '}'), { a: 7 }],
    ['an object that is counted', bytes('{#U', 1, 'U', 1, 'a', '[]'), { a: [] }],
    ['an object of one type', bytes('{$U#U', 1, 'U', 1, 'a', 7), { a: 7 }],
  ])('%s', (_, document, value) => {
    expect(readUbjson(document)).toEqual(value)
  })

  test('a key is never the prototype', () => {
    const read = readUbjson(bytes('{U', 9, '__proto__', 'U', 7, '}')) as Record<string, unknown>
    expect(Object.getPrototypeOf(read)).toBeNull()
    expect(Object.keys(read)).toEqual(['__proto__'])
  })
})

describe('refused with the place', () => {
  test.each<[name: string, document: Uint8Array, reason: RegExp]>([
    ['nothing', bytes(), /it ends/],
    ['a number that breaks off', bytes('l', 0, 0), /it ends/],
    ['a text longer than the file', bytes('Sl', 0x7f, 0xff, 0xff, 0xff, 'x'), /it ends/],
    ['an array longer than the file', bytes('[$D#l', 0x7f, 0xff, 0xff, 0xff), /more than there is/],
    ['a counted array longer than the file', bytes('[#l', 0x7f, 0xff, 0xff, 0xff), /more than/],
    [
      'an array of nothings longer than the file',
      bytes('[$Z#l', 0x7f, 0xff, 0xff, 0xff),
      /more than/,
    ],
    ['a length below zero', bytes('Si', 0xff), /no length/],
    ['an unknown type', bytes('x'), /"x" is no type/],
    ['a type without a number of items', bytes('[$U', 1), /without a number of items/],
    ['what follows', bytes('ZZ'), /something follows/],
    ['a text that is no UTF-8', bytes('SU', 1, 0xff), /no UTF-8/],
    ['what is nested for ever', bytes('['.repeat(100_000)), /nested/],
  ])('%s', (_, document, reason) => {
    expect(() => readUbjson(document)).toThrow(UnreadableModel)
    expect(() => readUbjson(document)).toThrow(reason)
  })
})
