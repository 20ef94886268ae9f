import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { refusal } from '../../../tests/support/refusal.ts'
import { Unavailable } from '../unavailable.ts'
import { createLocalCopies, type LocalCopies } from './local-copies.ts'
import { Changed, type OpenFile, TooLarge } from './storage.ts'

/** STORAGE_CACHE_BYTES_MAX, as it were. */
const BYTES_MAX = 1000

/** A storage of texts, which counts what is read of it. */
function createSource() {
  const texts = new Map<string, string>()
  const source = {
    texts,
    downloads: 0,
    cancelled: 0,
    /** What each download waits for. */
    gate: Promise.resolve() as Promise<unknown>,
    failure: undefined as Error | undefined,
    async open(key: string): Promise<OpenFile | undefined> {
      const text = texts.get(key)
      if (text === undefined) return undefined
      const etag = `"${Bun.hash(text)}"`
      return {
        file: { key, bytes: text.length, etag, modifiedAt: new Date(0) },
        stream() {
          source.downloads += 1
          return new ReadableStream(
            {
              async pull(controller) {
                await source.gate
                const { failure } = source
                source.failure = undefined
                if (failure !== undefined) throw failure
                controller.enqueue(new TextEncoder().encode(text))
                controller.close()
              },
              cancel() {
                source.cancelled += 1
              },
            },
            { highWaterMark: 0 },
          )
        },
        async close() {},
      }
    },
  }
  return source
}

let directory: string
let source: ReturnType<typeof createSource>
let copies: LocalCopies
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'quintet-copies-'))
  source = createSource()
  copies = createLocalCopies({ directory, bytesMax: BYTES_MAX, open: source.open })
})
afterEach(() => {
  copies.close()
  rmSync(directory, { recursive: true, force: true })
})

const acquire = async (key: string) => {
  const copy = await copies.acquire(key)
  if (copy === undefined) throw new Error(`there is no ${key}`)
  return copy
}
const use = async (key: string) => (await acquire(key)).release()
const filesHeld = () => readdirSync(directory).length
const large = (letter: string) => letter.repeat(400)

describe('a copy', () => {
  test('is downloaded once for all that ask at the same time, and kept', async () => {
    source.texts.set('a', 'text')
    const held = await Promise.all(Array.from({ length: 20 }, () => acquire('a')))
    expect(new Set(held.map(({ path }) => path)).size).toBe(1)
    for (const copy of held) copy.release()
    await use('a')
    expect(source.downloads).toBe(1)
    expect(readFileSync(held[0]!.path, 'utf8')).toBe('text')
  })

  test('of a changed file is another one; the old one goes with its last user', async () => {
    source.texts.set('a', 'old')
    const [one, two] = [await acquire('a'), await acquire('a')]
    source.texts.set('a', 'new!')
    const next = await acquire('a')
    expect(readFileSync(next.path, 'utf8')).toBe('new!')
    one.release()
    one.release()
    expect(readFileSync(two.path, 'utf8')).toBe('old')
    two.release()
    expect(existsSync(two.path)).toBe(false)
    expect(copies.bytesHeld()).toBe(4)
  })

  test('of a file that is gone is gone too', async () => {
    source.texts.set('a', 'text')
    await use('a')
    source.texts.delete('a')
    expect(await copies.acquire('a')).toBeUndefined()
    expect([copies.bytesHeld(), filesHeld()]).toEqual([0, 0])
  })
})

describe('the bound in bytes', () => {
  beforeEach(() => {
    for (const key of ['a', 'b', 'c', 'd']) source.texts.set(key, large(key))
  })

  test('holds: what was not used for longest goes first', async () => {
    for (const key of ['a', 'b', 'a', 'c', 'a']) await use(key)
    expect(source.downloads).toBe(3)
    await use('b')
    expect(source.downloads).toBe(4)
    expect([copies.bytesHeld(), filesHeld()]).toEqual([800, 2])
  })

  test('never takes a copy in use: who finds no space is told to come again', async () => {
    const [a, b] = [await acquire('a'), await acquire('b')]
    const error = await refusal(copies.acquire('c'))
    expect(error).toBeInstanceOf(Unavailable)
    expect(error).toMatchObject({ retryAfterSeconds: 1 })
    expect([readFileSync(a.path, 'utf8'), readFileSync(b.path, 'utf8')]).toEqual([
      large('a'),
      large('b'),
    ])
    a.release()
    await use('c')
    expect(existsSync(a.path)).toBe(false)
    expect(existsSync(b.path)).toBe(true)
  })

  test('counts downloads that are under way', async () => {
    const gate = Promise.withResolvers<void>()
    source.gate = gate.promise
    const all = Promise.allSettled(['a', 'b', 'c', 'd'].map(acquire))
    await Bun.sleep(10)
    expect(copies.bytesHeld()).toBe(800)
    gate.resolve()
    const settled = (await all).map(({ status }) => status)
    expect(settled.filter((status) => status === 'fulfilled')).toHaveLength(2)
  })

  test('is no place for a file larger than all of it', async () => {
    source.texts.set('huge', 'x'.repeat(BYTES_MAX + 1))
    await use('a')
    expect(await refusal(copies.acquire('huge'))).toBeInstanceOf(TooLarge)
    expect(copies.bytesHeld()).toBe(400)
    source.texts.set('huge', 'x'.repeat(BYTES_MAX))
    await use('huge')
    expect([copies.bytesHeld(), filesHeld()]).toEqual([BYTES_MAX, 1])
  })
})

describe('a download', () => {
  test('that fails fails for all who wait, leaves nothing, and is tried anew by the next', async () => {
    source.texts.set('a', 'text')
    const failure = new Error('the line broke')
    source.failure = failure
    const waiting = Array.from({ length: 3 }, () => refusal(copies.acquire('a')))
    expect(await Promise.all(waiting)).toEqual([failure, failure, failure])
    expect([copies.bytesHeld(), filesHeld()]).toEqual([0, 0])
    expect(readFileSync((await acquire('a')).path, 'utf8')).toBe('text')
  })

  test('of a file that changes meanwhile is begun anew', async () => {
    source.texts.set('a', 'text')
    source.failure = new Changed('it changed')
    await use('a')
    expect(source.downloads).toBe(2)
  })

  test('goes on while somebody waits, and ends with the last who gives up', async () => {
    source.texts.set('a', 'text')
    source.gate = new Promise(() => {})
    const [first, second] = [new AbortController(), new AbortController()]
    const one = refusal(copies.acquire('a', { signal: first.signal }))
    const two = refusal(copies.acquire('a', { signal: second.signal }))
    await Bun.sleep(10)
    first.abort()
    await one
    expect([source.cancelled, copies.bytesHeld()]).toEqual([0, 4])
    second.abort()
    await two
    await Bun.sleep(10)
    expect([source.cancelled, copies.bytesHeld(), filesHeld()]).toEqual([1, 0, 0])
  })
})

test('what a process left that was killed is removed by the next one', async () => {
  const ended = Bun.spawn(['true'])
  await ended.exited
  writeFileSync(join(directory, `${ended.pid}-x-left`), 'left')
  writeFileSync(join(directory, `${process.pid}-x-left`), 'left')
  writeFileSync(join(directory, `${process.ppid}-x-running`), 'in use')
  createLocalCopies({ directory, bytesMax: BYTES_MAX, open: source.open })
  expect(readdirSync(directory)).toEqual([`${process.ppid}-x-running`])
})
