import { afterEach, beforeEach, expect, test } from 'bun:test'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { refusal } from '../../../tests/support/refusal.ts'
import { until } from '../../../tests/support/until.ts'
import { openPartials } from '../../platform/storage/partial.ts'
import { spooled } from './spool.ts'

let directory: string
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'quintet-spool-'))
})
afterEach(() => rmSync(directory, { recursive: true }))

const PIECE = 100_000

/** Pieces that tell each other apart, and how many were made. */
function pieces(count: number, failure?: Error) {
  const made = { pieces: 0, isEnded: false }
  async function* make() {
    try {
      for (; made.pieces < count; made.pieces += 1) {
        await Bun.sleep(0)
        yield String(made.pieces).padEnd(PIECE, '.')
      }
      if (failure !== undefined) throw failure
    } finally {
      made.isEnded = true
    }
  }
  return { made, generator: make() }
}
const open = (generator: AsyncGenerator<string>, bytesMax = 1e9) =>
  spooled(generator, { partials: openPartials(directory), bytesMax })
const files = () => readdirSync(directory)

test('all is made while nobody reads, in a file where it is much, and read in its order', async () => {
  const { made, generator } = pieces(50)
  const stream = open(generator)
  await until(() => made.isEnded)
  expect(files()).toHaveLength(1)
  const text = await new Response(stream).text()
  const expected = Array.from({ length: 50 }, (_, at) => String(at).padEnd(PIECE, '.')).join('')
  expect(text === expected).toBe(true)
  expect(files()).toEqual([])
})

test('what is read at once needs no file', async () => {
  const { generator } = pieces(50)
  let bytes = 0
  for await (const chunk of open(generator)) {
    bytes += chunk.byteLength
    expect(files()).toEqual([])
  }
  expect(bytes).toBe(50 * PIECE)
})

test('beyond bytesMax the pieces wait for the reader', async () => {
  const { made, generator } = pieces(100)
  const stream = open(generator, 20 * PIECE)
  await until(() => made.pieces >= 20)
  await Bun.sleep(50)
  expect(made.pieces).toBeWithin(20, 24)
  expect((await new Response(stream).text()).length).toBe(100 * PIECE)
})

test('a failure comes behind what was made before it', async () => {
  const { generator } = pieces(30, new Error('no more'))
  let bytes = 0
  const reading = (async () => {
    for await (const chunk of open(generator)) bytes += chunk.byteLength
  })()
  expect(await refusal(reading)).toMatchObject({ message: 'no more' })
  expect(bytes).toBe(30 * PIECE)
  expect(files()).toEqual([])
})

test('who goes away ends it, and leaves no file', async () => {
  const { made, generator } = pieces(1_000)
  const reader = open(generator).getReader()
  await reader.read()
  await until(() => files().length > 0)
  await reader.cancel()
  await until(() => made.isEnded && files().length === 0)
  expect(made.pieces).toBeLessThan(1_000)
})
