import { expect, test } from 'bun:test'

import { refusal } from '../../../tests/support/refusal.ts'
import { readCsv } from './csv-rows.ts'

const streamOf = (...pieces: (string | Uint8Array)[]) =>
  new ReadableStream<Uint8Array>({
    start(controller) {
      for (const piece of pieces) controller.enqueue(Buffer.from(piece as string))
      controller.close()
    },
  })

const read = (...pieces: (string | Uint8Array)[]) =>
  Array.fromAsync(
    readCsv(streamOf(...pieces), () => {}),
    ({ row }) => row,
  )

test('an empty line is a row of a table of one column, and of others none', async () => {
  expect(await read('x\n0.1\n\n0.9\n')).toEqual([{ x: '0.1' }, { x: '' }, { x: '0.9' }])
  expect(await read('x,y\n1,2\n\n3,4\n\n')).toEqual([
    { x: '1', y: '2' },
    { x: '3', y: '4' },
  ])
})

const split: { whole: string; pieces: string[] }[] = [
  { whole: 'x\r\n1\r\n2\r\n', pieces: ['x\r', '\n1\r', '\n2\r', '\n'] },
  { whole: 'x\r\n1\r\n2', pieces: ['x', '\r', '\n', '1', '\r', '\n', '2'] },
  { whole: 'x\n1\n2\n', pieces: ['x\n1\n', '2\n'] },
]

test.each(split)('rows do not depend on where pieces end: %j', async ({ whole, pieces }) => {
  const rows = [{ x: '1' }, { x: '2' }]
  expect([await read(whole), await read(...pieces)]).toEqual([rows, rows])
})

test('a row has as many cells as the header', async () => {
  expect(await refusal(read('x,y\n1,2\n3\n'))).toMatchObject({
    message: 'Row 2: it has 1 cells where the header has 2.',
  })
  expect(await refusal(read('x,y\n1,2,3\n'))).toMatchObject({
    message: expect.stringContaining('3'),
  })
})

test('what is no UTF-8 is refused, and what ends in the middle of a character', async () => {
  const latin = Buffer.from('x\ncafé\n', 'latin1')
  const broken = Buffer.from('x\ncafé').subarray(0, -1)
  const [one, two] = Buffer.from('é')
  for (const bytes of [latin, broken]) {
    expect(await refusal(read(bytes))).toMatchObject({ message: 'The table is no UTF-8.' })
  }
  expect(await read('x\ncaf', Uint8Array.of(one!), Uint8Array.of(two!))).toEqual([{ x: 'café' }])
})

test('no header is no table', async () => {
  expect(await refusal(read(''))).toMatchObject({ message: 'The table has no header.' })
})

test('empty cells count, so that many of them are not held at once', async () => {
  const columns = Array.from({ length: 1000 }, (_, at) => `c${at}`).join(',')
  const table = readCsv(streamOf(`${columns}\n${','.repeat(999)}\n`), () => {})
  const { value } = await table.next()
  expect(value!.bytes).toBeGreaterThan(50_000)
})
