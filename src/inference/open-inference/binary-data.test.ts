import { describe, expect, test } from 'bun:test'

import { readBinaryData, writeBinaryData } from './binary-data.ts'
import { BadTensor, type Datatype } from './tensor.ts'

const bytes = (size: number, write: (view: DataView) => void) => {
  const buffer = new ArrayBuffer(size)
  write(new DataView(buffer))
  return new Uint8Array(buffer)
}

describe('a number is read, little-endian', () => {
  test.each<[Datatype, Uint8Array, number]>([
    ['BOOL', Uint8Array.of(2), 1],
    ['UINT8', Uint8Array.of(254), 254],
    ['INT8', Uint8Array.of(254), -2],
    ['UINT16', Uint8Array.of(1, 2), 513],
    ['INT16', Uint8Array.of(254, 255), -2],
    ['UINT32', Uint8Array.of(0, 0, 0, 128), 2 ** 31],
    ['INT32', Uint8Array.of(254, 255, 255, 255), -2],
    ['UINT64', bytes(8, (view) => view.setBigUint64(0, 2n ** 40n, true)), 2 ** 40],
    ['INT64', bytes(8, (view) => view.setBigInt64(0, -5n, true)), -5],
    ['FP16', Uint8Array.of(0, 0x3e), 1.5],
    ['FP32', bytes(4, (view) => view.setFloat32(0, 0.5, true)), 0.5],
    ['FP64', bytes(8, (view) => view.setFloat64(0, 0.1, true)), 0.1],
    ['FP64', bytes(8, (view) => view.setFloat64(0, Number.NaN, true)), Number.NaN],
  ])('%s', (datatype, content, value) => {
    // At an odd place, where JSON of any length stood before.
    const shifted = new Uint8Array(content.byteLength + 3)
    shifted.set(content, 3)
    const { values } = readBinaryData('x', datatype, [1], shifted.subarray(3))
    expect([...values]).toEqual([value])
  })
})

test('what is written is read again', () => {
  const texts = ['', 'Adelie', 'é—🐧', 'a\nb']
  const written = writeBinaryData({ name: 'x', datatype: 'BYTES', shape: [4], values: texts })
  expect([...readBinaryData('x', 'BYTES', [4], written).values]).toEqual(texts)
  const numbers = Float64Array.of(0, -0, 1e300, Number.NaN, Number.NEGATIVE_INFINITY)
  const doubles = writeBinaryData({ name: 'x', datatype: 'FP64', shape: [5], values: numbers })
  expect([...readBinaryData('x', 'FP64', [5], doubles).values]).toEqual([...numbers])
})

describe('refused', () => {
  test.each<[name: string, datatype: Datatype, shape: number[], content: Uint8Array]>([
    ['a byte too few', 'FP64', [1], new Uint8Array(7)],
    ['a byte too many', 'UINT8', [1], new Uint8Array(2)],
    ['a text longer than the rest', 'BYTES', [1], Uint8Array.of(9, 0, 0, 0, 65)],
    ['a text of four gigabytes', 'BYTES', [1], Uint8Array.of(255, 255, 255, 255, 65)],
    ['a text too few', 'BYTES', [2], Uint8Array.of(1, 0, 0, 0, 65)],
    ['a text too many', 'BYTES', [1], Uint8Array.of(1, 0, 0, 0, 65, 1, 0, 0, 0, 65)],
    ['a text that is no UTF-8', 'BYTES', [1], Uint8Array.of(1, 0, 0, 0, 255)],
    ['a shape beyond all numbers', 'UINT8', [2 ** 40, 2 ** 40], new Uint8Array(1)],
  ])('%s', (_, datatype, shape, content) => {
    expect(() => readBinaryData('x', datatype, shape, content)).toThrow(BadTensor)
  })
})
