import { describe, expect, test } from 'bun:test'

import { UnreadableModel } from '../unreadable-model.ts'
import { Message, written } from './protobuf.ts'

const bytes = (...values: number[]) => Uint8Array.from(values)

/** All fields: number, value of a varint, content. */
function fieldsOf(message: Message): [field: number, value: number, content: number[]][] {
  const fields: [number, number, number[]][] = []
  while (message.next()) {
    const { field, value, from, to } = message
    fields.push([field, value, [...message.bytes.subarray(from, to)]])
  }
  return fields
}

describe('a message', () => {
  test.each<[name: string, message: Uint8Array, fields: ReturnType<typeof fieldsOf>]>([
    ['of nothing', bytes(), []],
    ['with a varint', bytes(0x08, 0x96, 0x01), [[1, 150, [0x96, 0x01]]]],
    ['with four bytes', bytes(0x15, 1, 2, 3, 4), [[2, 0, [1, 2, 3, 4]]]],
    ['with eight bytes', bytes(0x11, 1, 2, 3, 4, 5, 6, 7, 8), [[2, 0, [1, 2, 3, 4, 5, 6, 7, 8]]]],
    ['with a length', bytes(0x1a, 2, 7, 8), [[3, 0, [7, 8]]]],
    ['with no content', bytes(0x1a, 0), [[3, 0, []]]],
    ['with a field of a large number', bytes(0xfa, 0x01, 1, 9), [[31, 0, [9]]]],
    [
      'with a varint of ten bytes',
      bytes(0x08, ...Array.from({ length: 9 }, () => 0xff), 0x01),
      [[1, 2 ** 64, [...Array.from({ length: 9 }, () => 0xff), 0x01]]],
    ],
    ['with a varint that is longer than it must be', bytes(0x08, 0x81, 0x00), [[1, 1, [0x81, 0]]]],
    [
      'with one field after the other',
      bytes(0x08, 5, 0x1a, 1, 7, 0x08, 6),
      [
        [1, 5, [5]],
        [3, 0, [7]],
        [1, 6, [6]],
      ],
    ],
  ])('%s', (_, message, fields) => {
    expect(fieldsOf(new Message(message))).toEqual(fields)
  })

  test('ends where it does, not where the bytes do', () => {
    expect(fieldsOf(new Message(bytes(9, 0x08, 5, 0x08, 6), 1, 3))).toEqual([[1, 5, [5]]])
  })

  test('has texts, and numbers with their sign, one or packed', () => {
    const message = new Message(bytes(0x0a, 2, 0xc3, 0xa9, 0x12, 3, 1, 0xac, 0x02))
    expect([message.next(), message.text(), message.strictText()]).toEqual([true, 'é', 'é'])
    expect([message.next(), ...message.int64s()]).toEqual([true, 1n, 300n])
    const less = new Message(bytes(0x08, 0xfe, ...Array.from({ length: 8 }, () => 0xff), 0x01))
    expect([less.next(), ...less.int64s()]).toEqual([true, -2n])
    const four = new Message(bytes(0x15, 1, 2, 3, 4))
    expect([four.next(), ...four.int64s()]).toEqual([true])
  })

  test('is written as it is read', () => {
    const content = new Uint8Array(300).fill(7)
    const message = new Message(Buffer.concat(written(20, [content, bytes(8)])))
    expect(fieldsOf(message)).toEqual([[20, 0, [...content, 8]]])
  })
})

describe('refused with the place', () => {
  test.each<[name: string, message: Uint8Array, reason: RegExp]>([
    ['a varint that breaks off', bytes(0x08, 0x80), /at byte 0 a number is expected, and it ends/],
    [
      'a varint without end',
      bytes(0x08, ...Array.from({ length: 20 }, () => 0x80)),
      /more than 10/,
    ],
    ['a tag that breaks off', bytes(0x08, 1, 0xff), /at byte 2 a number is expected/],
    ['a length beyond the end', bytes(0x1a, 3, 1, 2), /3 more bytes are expected, and it ends/],
    ['a length beyond all', bytes(0x1a, ...Array.from({ length: 9 }, () => 0xff), 1), /more bytes/],
    ['four bytes of which some are missing', bytes(0x15, 1, 2), /4 more bytes/],
    ['eight bytes of which some are missing', bytes(0x11, 1, 2), /8 more bytes/],
    ['a group', bytes(0x0b, 0x08, 1, 0x0c), /kind 3/],
    ['the end of a group', bytes(0x0c), /kind 4/],
    ['kinds that nobody knows', bytes(0x0e), /kind 6/],
    ['a field 0', bytes(0x00, 1), /0 is no field/],
    // Runtimes cut a tag to 32 bits, which makes it another.
    ['a field that is no 13 any more', bytes(0xea, 0x80, 0x80, 0x80, 0x10, 0), /is no field/],
  ])('%s', (_, message, reason) => {
    expect(() => fieldsOf(new Message(message))).toThrow(UnreadableModel)
    expect(() => fieldsOf(new Message(message))).toThrow(reason)
  })

  test('a length beyond its own end, whatever follows', () => {
    expect(() => fieldsOf(new Message(bytes(0x1a, 2, 7, 8), 0, 3))).toThrow(/2 more bytes/)
    expect(() => fieldsOf(new Message(bytes(0x08, 0x80, 1), 0, 2))).toThrow(/and it ends/)
  })

  test('a text that is no UTF-8, if more than a name', () => {
    const message = new Message(bytes(0x0a, 1, 0xff))
    message.next()
    expect(message.text()).toBe('\uFFFD')
    expect(() => message.strictText()).toThrow(/no UTF-8/)
  })

  test('packed numbers of which the last breaks off', () => {
    const message = new Message(bytes(0x0a, 2, 1, 0x80, 1))
    message.next()
    expect(() => [...message.int64s()]).toThrow(/no end/)
  })
})
