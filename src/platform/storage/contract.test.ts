import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

import { refusal } from '../../../tests/support/refusal.ts'
import { systemClock } from '../clock.ts'
import { bytesOf, drivers, type Place, streamOf, UPLOAD_BYTES_MAX } from './drivers.fixture.ts'
import { Changed, InvalidKey, KEY_LENGTH_MAX, type Storage, TooLarge } from './storage.ts'

setDefaultTimeout(60_000)

const bytes = (text: string) => new TextEncoder().encode(text)

/** What must hold of every driver. */
describe.each(drivers.map((driver) => [driver.name, driver] as const))('%s', (_, driver) => {
  let place: Place
  let storage: Storage
  beforeAll(async () => {
    place = await driver.createPlace(systemClock)
    ;({ storage } = place)
  })
  afterAll(() => place.remove())

  const read = async (key: string, range?: { start: number; end: number }) => {
    const opened = await storage.open(key)
    if (opened === undefined) return undefined
    return Buffer.from(await bytesOf(opened.stream(range && { range }))).toString()
  }
  const keysIn = async (prefix: string) =>
    (await storage.list({ prefix })).files.map(({ key }) => key)
  /** Whatever is on this machine’s disk and not finished. */
  const leftovers = () =>
    ['files/@partial', 'uploads'].flatMap((folder) => {
      const path = join(place.directory, folder)
      return existsSync(path) ? readdirSync(path) : []
    })

  describe('a file', () => {
    test('may be one of this machine, which is taken over', async () => {
      const path = join(place.directory, 'own')
      const content = 'own '.repeat(1_000_000)
      await Bun.write(path, content)
      const { etag } = await storage.put('file/own', { path })
      expect(await read('file/own')).toBe(content)
      expect((await storage.stat('file/own'))?.etag).toBe(etag)
      expect((await storage.put('file/copy', bytes(content))).etag).toBe(etag)
      await Bun.write(path, content)
      const unique = await storage.put('file/unique', { path, isUnique: true })
      expect(await storage.stat('file/unique')).toMatchObject({ etag: unique.etag })
      expect(await read('file/unique')).toBe(content)
      await Bun.write(path, content)
      const tooLarge = await refusal(storage.put('file/own', { path }, { bytesMax: 1000 }))
      expect(tooLarge).toBeInstanceOf(TooLarge)
      expect(await read('file/own')).toBe(content)
      expect(leftovers()).toEqual([])
    })

    test('is what was put last, until it is deleted', async () => {
      expect(await storage.stat('file/a')).toBeUndefined()
      expect(await read('file/a')).toBeUndefined()
      const first = await storage.put('file/a', bytes('one'))
      expect(first).toMatchObject({
        key: 'file/a',
        bytes: 3,
        etag: expect.stringMatching(/^".+"$/),
      })
      expect(await storage.stat('file/a')).toMatchObject({ bytes: 3, etag: first.etag })
      const second = await storage.put('file/a', bytes('three'))
      expect(second.etag).not.toBe(first.etag)
      expect(await read('file/a')).toBe('three')
      expect(Math.abs(second.modifiedAt.getTime() - Date.now())).toBeLessThan(60_000)
      await storage.delete('file/a')
      expect(await read('file/a')).toBeUndefined()
      await storage.delete('file/a')
    })

    test('may be empty', async () => {
      const stored = await storage.put('file/empty', bytes(''))
      expect(stored.bytes).toBe(0)
      expect(await read('file/empty')).toBe('')
      const copy = await storage.localCopy('file/empty')
      expect(readFileSync(copy!.path)).toHaveLength(0)
      copy!.release()
    })

    test('has the ETag of its content: the same again for the same', async () => {
      const { etag } = await storage.put('file/same', bytes('same'))
      await storage.put('file/same', bytes('other'))
      expect((await storage.put('file/same', bytes('same'))).etag).toBe(etag)
      expect((await storage.stat('file/same'))?.etag).toBe(etag)
    })

    test('goes in and out in chunks, over the borders of all of them', async () => {
      const content = new Uint8Array(9_000_001)
      for (let at = 0; at < content.length; at += 1) content[at] = (at * 31) % 251
      const chunks = [content.subarray(0, 1), content.subarray(1, 5_000_000), content.subarray(5e6)]
      const stored = await storage.put('file/large', new Blob(chunks).stream())
      expect(stored.bytes).toBe(content.length)
      const opened = await storage.open('file/large')
      expect(Bun.hash(await bytesOf(opened?.stream()))).toBe(Bun.hash(content))
    })

    test.each([
      [3, 5, '345'],
      [9, 9, '9'],
      [0, 9, '0123456789'],
    ])('gives the range %p to %p, both included', async (start, end, expected) => {
      await storage.put('file/range', bytes('0123456789'))
      expect(await read('file/range', { start, end })).toBe(expected)
    })

    test('beside a folder of its name is another one', async () => {
      await storage.put('both', bytes('file'))
      await storage.put('both/inner', bytes('inner'))
      expect([await read('both'), await read('both/inner')]).toEqual(['file', 'inner'])
      await storage.delete('both')
      expect([await read('both'), await read('both/inner')]).toEqual([undefined, 'inner'])
    })
  })

  describe('a key', () => {
    const longest = `${'a'.repeat(200)}/${'b'.repeat(200)}/${'c'.repeat(KEY_LENGTH_MAX - 402)}`

    test.each(['a', 'A-b_c.d', '...', '.hidden', 'x.csv', '-', longest])(
      '%p is one',
      async (key) => {
        await storage.put(key, bytes(key))
        expect(await read(key)).toBe(key)
        const copy = await storage.localCopy(key)
        expect(readFileSync(copy!.path, 'utf8')).toBe(key)
        copy!.release()
        await storage.delete(key)
      },
    )

    test.each([
      '',
      '/',
      '/a',
      'a/',
      'a//b',
      '.',
      '..',
      '../a',
      'a/..',
      'a/../b',
      'a/./b',
      'a\\b',
      'a b',
      'a\n',
      'a\0',
      'a%2Fb',
      'a@',
      'a@etag',
      '@partial/a',
      'é',
      'a'.repeat(201),
      `${longest}d`,
    ])('%p is none', async (key) => {
      const calls = [
        storage.put(key, bytes('x')),
        storage.stat(key),
        storage.open(key),
        storage.delete(key),
        storage.localCopy(key),
      ]
      for (const call of calls) expect(await refusal(call)).toBeInstanceOf(InvalidKey)
      expect(() => storage.downloadAddress(key, { expiresInSeconds: 1 })).toThrow(InvalidKey)
      const upload = { expiresInSeconds: 1, bytesMax: 1 }
      expect(() => storage.uploadAddress(key, upload)).toThrow(InvalidKey)
    })
  })

  describe('a put that breaks off', () => {
    const CHUNKS = 200
    const sources: [string, () => { content: ReadableStream<Uint8Array>; signal?: AbortSignal }][] =
      [
        [
          'by its source',
          () => ({
            content: streamOf(CHUNKS, {
              onChunk(at) {
                if (at === CHUNKS - 1) throw new Error('the source broke')
              },
            }),
          }),
        ],
        [
          'by its signal, while the source is silent',
          () => {
            const content = streamOf(CHUNKS, {
              onChunk: (at) => (at < CHUNKS - 1 ? undefined : new Promise<void>(() => {})),
            })
            return { content, signal: AbortSignal.timeout(200) }
          },
        ],
        [
          'by a signal before it began',
          () => ({ content: streamOf(1), signal: AbortSignal.abort() }),
        ],
      ]

    test.each(sources)('%s leaves what was there, or nothing', async (_, source) => {
      await storage.put('broken/old', bytes('old'))
      for (const key of ['broken/old', 'broken/new']) {
        const { content, signal } = source()
        await refusal(storage.put(key, content, signal === undefined ? {} : { signal }))
      }
      expect(await read('broken/old')).toBe('old')
      expect(await keysIn('broken/')).toEqual(['broken/old'])
      expect(leftovers()).toEqual([])
    })

    test('at its bound is stored, one byte beyond it is not', async () => {
      await storage.put('bound/at', streamOf(2, { chunkBytes: 50 }), { bytesMax: 100 })
      const beyond = storage.put('bound/beyond', streamOf(2, { chunkBytes: 51 }), { bytesMax: 101 })
      expect(await refusal(beyond)).toBeInstanceOf(TooLarge)
      expect(await keysIn('bound/')).toEqual(['bound/at'])
      expect(leftovers()).toEqual([])
    })

    test('at the bound of all files is stopped there, and not read to its end', async () => {
      let chunksRead = 0
      const endless = streamOf(Infinity, { chunkBytes: 1e6, onChunk: () => void (chunksRead += 1) })
      expect(await refusal(storage.put('bound/endless', endless))).toMatchObject({
        bytesMax: UPLOAD_BYTES_MAX,
      })
      expect(chunksRead).toBeLessThan(UPLOAD_BYTES_MAX / 1e6 + 3)
    })
  })

  describe('readers during puts', () => {
    test('see one state or the other, whole, with its own ETag', async () => {
      const states = new Map<string, string>()
      const CHUNKS = 80
      for (const letter of ['a', 'b']) {
        states.set((await storage.put('swap', streamOf(CHUNKS, { letter }))).etag, letter)
      }
      const over = new AbortController()
      const seen = new Set<string>()
      const readers = Array.from({ length: 3 }, async () => {
        while (!over.signal.aborted) {
          const opened = await storage.open('swap')
          const letter = states.get(opened?.file.etag ?? '')
          const content = await bytesOf(opened?.stream()).catch((error: unknown) => error)
          // Object storage says so where a state can’t be read any more.
          if (content instanceof Changed) continue
          if (!(content instanceof Uint8Array) || letter === undefined) throw content
          expect(content).toHaveLength(CHUNKS * 65_536)
          expect(content.every((byte) => byte === letter.charCodeAt(0))).toBe(true)
          seen.add(letter)
        }
      })
      for (let put = 0; put < 20; put += 1) {
        await storage.put('swap', streamOf(CHUNKS, { letter: put % 2 === 0 ? 'a' : 'b' }))
        await Bun.sleep(5)
      }
      await Bun.sleep(200)
      over.abort()
      await Promise.all(readers)
      expect(seen.size).toBeGreaterThan(0)
    })

    test('of many at once, one is the last, and is there whole', async () => {
      const letters = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h']
      const puts = letters.map((letter) => storage.put('race', streamOf(20, { letter })))
      const etags = (await Promise.all(puts)).map(({ etag }) => etag)
      const content = (await read('race')) ?? ''
      expect(new Set(content).size).toBe(1)
      expect((await storage.stat('race'))?.etag).toBe(etags[letters.indexOf(content.charAt(0))])
    })
  })

  describe('a list', () => {
    const keys = ['l/a', 'l/a-b', 'l/a.b', 'l/a/b', 'l/a/b/c', 'l/aa', 'l/b', 'm', 'l.x']
    beforeAll(async () => {
      for (const key of keys) await storage.put(`list/${key}`, bytes(key))
    })

    test('has the keys in the order of their bytes, with sizes', async () => {
      const { files, cursor } = await storage.list({ prefix: 'list/' })
      expect(files.map(({ key }) => key)).toEqual(keys.map((key) => `list/${key}`).toSorted())
      expect(files[0]).toMatchObject({ key: 'list/l.x', bytes: 3, modifiedAt: expect.any(Date) })
      expect(cursor).toBeUndefined()
    })

    test.each(['list/l/a', 'list/l/a/', 'list/l', 'list/l/a/b/c', 'list/none', 'lis'])(
      'begins with the prefix %p, which may end inside a segment',
      async (prefix) => {
        const expected = keys.map((key) => `list/${key}`).filter((key) => key.startsWith(prefix))
        expect((await keysIn(prefix)).toSorted()).toEqual(expected.toSorted())
      },
    )

    test.each([1, 2, 3, 9, 10])('comes in pages of %p without gaps', async (limit) => {
      const found: string[] = []
      let cursor: string | undefined
      let pages = 0
      do {
        const page = await storage.list({ prefix: 'list/', limit, ...(cursor && { cursor }) })
        expect(page.files.length).toBeWithin(1, limit + 1)
        found.push(...page.files.map(({ key }) => key))
        ;({ cursor } = page)
        pages += 1
      } while (cursor !== undefined)
      expect(found).toEqual(keys.map((key) => `list/${key}`).toSorted())
      expect(pages).toBe(Math.ceil(keys.length / limit))
    })

    test('refuses a cursor that is none', async () => {
      const call = storage.list({ cursor: Buffer.from('../a').toString('base64url') })
      expect(await refusal(call)).toBeInstanceOf(InvalidKey)
    })
  })

  describe('a local copy', () => {
    test('is the file as a path that ends in its name, until it is released', async () => {
      await storage.put('copy/a.csv', bytes('x\n1\n'))
      const copy = (await storage.localCopy('copy/a.csv'))!
      expect(copy.path).toEndWith('a.csv')
      expect(readFileSync(copy.path, 'utf8')).toBe('x\n1\n')
      expect(copy.file).toEqual((await storage.stat('copy/a.csv'))!)
      copy.release()
      copy.release()
      expect(await storage.localCopy('copy/none')).toBeUndefined()
    })

    test('stays as it was while it is in use, and the next one is of the new content', async () => {
      await storage.put('copy/b', bytes('old'))
      const old = (await storage.localCopy('copy/b'))!
      await storage.put('copy/b', bytes('newer'))
      const next = (await storage.localCopy('copy/b'))!
      expect(readFileSync(old.path, 'utf8')).toBe('old')
      expect(readFileSync(next.path, 'utf8')).toBe('newer')
      await storage.delete('copy/b')
      expect(readFileSync(next.path, 'utf8')).toBe('newer')
      expect(await storage.localCopy('copy/b')).toBeUndefined()
      for (const copy of [old, next]) copy.release()
      expect(existsSync(old.path)).toBe(false)
    })
  })

  describe('an address', () => {
    const DAY_SECONDS = 86_400
    test('names the key, and can be read by whoever has it', () => {
      const address = storage.downloadAddress('a/b.csv', { expiresInSeconds: DAY_SECONDS })
      expect(new URL(address).pathname).toEndWith('/a/b.csv')
    })

    test.each([0, -1, 1.5, 8 * DAY_SECONDS, NaN])('never expires in %p seconds', (seconds) => {
      const options = { expiresInSeconds: seconds, bytesMax: 1 }
      expect(() => storage.downloadAddress('a', options)).toThrow(RangeError)
      expect(() => storage.uploadAddress('a', options)).toThrow(RangeError)
    })
  })
})
