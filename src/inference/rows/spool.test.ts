import { afterEach, beforeEach, expect, test } from 'bun:test'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { refusal } from '../../../tests/support/refusal.ts'
import { until } from '../../../tests/support/until.ts'
import { openPartials } from '../../platform/storage/partial.ts'
import { type SpoolOptions, spooled } from './spool.ts'

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
const open = (generator: AsyncGenerator<string>, more: Partial<SpoolOptions> = {}) =>
  spooled(generator, {
    partials: openPartials(directory),
    bytesMax: 1e9,
    space: { bytesMax: 1e9, usedBytes: 0 },
    stallMs: 10_000,
    onFailure: () => {},
    ...more,
  })
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
  const stream = open(generator, { bytesMax: 20 * PIECE })
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

test('all answers wait together for PREDICT_UNREAD_BYTES_MAX at most', async () => {
  const space = { bytesMax: 30 * PIECE, usedBytes: 0 }
  const all = [pieces(100), pieces(100)]
  const streams = all.map(({ generator }) => open(generator, { space }))
  await until(() => space.usedBytes >= 30 * PIECE)
  await Bun.sleep(50)
  expect(all.reduce((sum, { made }) => sum + made.pieces, 0)).toBeWithin(30, 36)
  const texts = await Promise.all(streams.map((stream) => new Response(stream).text()))
  expect(texts.map(({ length }) => length)).toEqual([100 * PIECE, 100 * PIECE])
  expect([space.usedBytes, files()]).toEqual([0, []])
})

test('a file that was read to its end begins anew', async () => {
  const { made, generator } = pieces(60)
  const reader = open(generator, { bytesMax: 20 * PIECE }).getReader()
  let bytes = 0
  let largest = 0
  for (let next = await reader.read(); !next.done; next = await reader.read()) {
    bytes += next.value.byteLength
    for (const name of files()) largest = Math.max(largest, Bun.file(join(directory, name)).size)
    if (bytes % (10 * PIECE) < PIECE) await Bun.sleep(5)
  }
  expect([bytes, made.isEnded]).toEqual([60 * PIECE, true])
  expect(largest).toBeLessThan(50 * PIECE)
})

test('what nobody reads for PREDICT_UNREAD_TIMEOUT_MS is thrown away', async () => {
  const space = { bytesMax: 1e9, usedBytes: 0 }
  const failures: unknown[] = []
  const { made, generator } = pieces(50)
  const onFailure = (error: unknown) => failures.push(error)
  const stream = open(generator, { space, stallMs: 100, onFailure })
  await until(() => made.isEnded && files().length === 1)
  await until(() => files().length === 0)
  expect([space.usedBytes, failures.length]).toEqual([0, 1])
  expect(await refusal(new Response(stream).text())).toMatchObject({ name: 'Stalled' })
})

test('who waits for the next piece has not stalled', async () => {
  async function* slowly() {
    yield 'a'
    await Bun.sleep(250)
    yield 'b'
  }
  expect(await new Response(open(slowly(), { stallMs: 60 })).text()).toBe('ab')
})
