import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { readdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'

import { type Harness, openHarness } from '../../tests/support/harness.ts'
import { type Row, testRequests } from '../../tests/support/request-table.ts'

const UPLOAD_BYTES_MAX = 1000
const KEY = 'folder/a.txt'
const CONTENT = '0123456789'

let harness: Harness
let etag: string
beforeAll(async () => {
  harness = await openHarness({ STORAGE_UPLOAD_BYTES_MAX: String(UPLOAD_BYTES_MAX) })
  etag = (await harness.platform.storage.put(KEY, Buffer.from(CONTENT))).etag
})
afterAll(() => harness.close())

/** Path and query of an address, as signed. */
const pathOf = (address: string) => address.slice(new URL(address).origin.length)
const toGet = (key = KEY, expiresInSeconds = 60) =>
  pathOf(harness.platform.storage.downloadAddress(key, { expiresInSeconds }))
const toPut = (key = KEY, bytesMax = 100) =>
  pathOf(harness.platform.storage.uploadAddress(key, { expiresInSeconds: 60, bytesMax }))
/** All but the models. */
const keys = async () =>
  (await harness.platform.storage.list()).files
    .map(({ key }) => key)
    .filter((key) => !key.startsWith('models/'))

type FileRow = Omit<Row, 'path'> & { path: () => string; also?: (row: Row) => void }

/** The paths are known only when the harness is. */
function testFiles(rows: FileRow[]): void {
  for (const row of rows) {
    describe(row.name, () => {
      const actual = { ...row, path: '' } as Row
      beforeAll(() => {
        actual.path = row.path()
      })
      testRequests(
        () => ({ ...harness, request: (sent) => harness.request({ ...sent, path: actual.path }) }),
        [actual],
      )
    })
  }
}

const forged = { status: 403, has: { title: 'Bad signature' }, mustNotContain: [CONTENT] }
const swap = (path: string, part: string | RegExp, other: string) => {
  const changed = path.replace(part, other)
  expect(changed).not.toBe(path)
  return changed
}

describe('a request that was not signed is refused', () => {
  testFiles([
    {
      name: 'with another signature',
      path: () => {
        const path = toGet()
        return swap(
          path,
          /signature=./,
          path.includes('signature=-') ? 'signature=_' : 'signature=-',
        )
      },
      ...forged,
    },
    { name: 'with a shorter one', path: () => toGet().slice(0, -1), ...forged },
    {
      name: 'with an empty one',
      path: () => swap(toGet(), /signature=.*/, 'signature='),
      ...forged,
    },
    { name: 'for another key', path: () => swap(toGet('other'), '/other?', `/${KEY}?`), ...forged },
    {
      name: 'for a later end',
      path: () => swap(toGet(), /expires=\d+/, 'expires=9999999999'),
      ...forged,
    },
    {
      name: 'for another method',
      method: 'PUT',
      body: 'x',
      path: () => `${toGet()}&bytes_max=100`,
      ...forged,
    },
    {
      name: 'to read with an address to write',
      path: () => swap(toPut(), /&?bytes_max=\d+/, ''),
      ...forged,
    },
    {
      name: 'for more bytes',
      method: 'PUT',
      body: 'x',
      path: () => swap(toPut(), /bytes_max=\d+/, 'bytes_max=999'),
      ...forged,
    },
    {
      name: 'with an encoded slash',
      path: () => swap(toGet(), 'folder/a', 'folder%2Fa'),
      ...forged,
    },
    { name: 'with an encoded letter', path: () => swap(toGet(), 'a.txt', '%61.txt'), ...forged },
    {
      name: 'with an encoded way up',
      path: () => swap(toGet(), KEY, 'x%2F..%2F..%2Fquintet.db'),
      ...forged,
    },
    { name: 'with a second slash', path: () => swap(toGet(), 'folder/a', 'folder//a'), ...forged },
    { name: 'for a key that is none', path: () => swap(toGet(), KEY, 'a@etag'), ...forged },
    {
      name: 'for a key of 4000 characters',
      path: () => swap(toGet(), KEY, 'x/'.repeat(2000)),
      ...forged,
    },
    {
      name: 'by a way up, which is another route',
      path: () => swap(toGet(), KEY, '../../../../quintet.db'),
      status: 404,
    },
  ])
})

describe('an address that can’t be read is refused', () => {
  const invalid = { status: 422, has: { title: 'Invalid request' } }
  testFiles([
    {
      name: 'without signature',
      path: () => `/api/v1/files/${KEY}`,
      ...invalid,
      contains: ['#/query/signature', '#/query/expires'],
    },
    {
      name: 'with a word for a time',
      path: () => swap(toGet(), /expires=\d+/, 'expires=never'),
      ...invalid,
    },
    {
      name: 'with a time in another spelling',
      path: () => swap(toGet(), 'expires=', 'expires=0'),
      ...invalid,
    },
    {
      name: 'with a parameter twice',
      path: () => `${toGet()}&expires=1`,
      ...invalid,
      contains: ['more than once'],
    },
    { name: 'with a parameter of its own', path: () => `${toGet()}&a=1`, ...invalid },
    {
      name: 'to write without a bound',
      method: 'PUT',
      body: 'x',
      path: () => swap(toPut(), /&?bytes_max=\d+/, ''),
      ...invalid,
    },
    { name: 'by another method', method: 'DELETE', path: toGet, status: 405 },
    { name: 'without a key', path: () => swap(toGet(), KEY, ''), status: 404 },
  ])

  test('when it has expired', async () => {
    const path = toGet()
    const upload = toPut()
    harness.clock.advance(59_000)
    expect(await (await harness.request({ path })).text()).toBe(CONTENT)
    harness.clock.advance(1000)
    const late = await harness.request({ path })
    expect(await late.json()).toMatchObject({ status: 403, title: 'Address expired' })
    expect((await harness.request({ method: 'PUT', path: upload, body: 'x' })).status).toBe(403)
    // What is forged and late is said to be forged: the time is the signer’s word.
    const forgedAndLate = await harness.request({ path: `${path.slice(0, -2)}--` })
    expect(await forgedAndLate.json()).toMatchObject({ title: 'Bad signature' })
  })
})

describe('reading', () => {
  const ranged = (range: string, more: Record<string, string> = {}) => ({
    headers: { range, ...more },
  })
  testFiles([
    { name: 'a file that is not there', path: () => toGet('none'), status: 404 },
    {
      name: 'a range beyond',
      path: toGet,
      ...ranged('bytes=10-'),
      status: 416,
      answerHeaders: { 'content-range': 'bytes */10' },
    },
    {
      name: 'the whole',
      path: toGet,
      status: 200,
      contains: [CONTENT],
      answerHeaders: {
        'content-length': '10',
        'content-type': 'application/octet-stream',
        'content-disposition': 'attachment',
        'x-content-type-options': 'nosniff',
        'accept-ranges': 'bytes',
        etag: /^"[0-9a-f]{64}"$/,
      },
    },
    {
      name: 'a range',
      path: toGet,
      ...ranged('bytes=2-4'),
      status: 206,
      contains: ['234'],
      mustNotContain: [CONTENT],
      answerHeaders: { 'content-range': 'bytes 2-4/10', 'content-length': '3' },
    },
    {
      name: 'the end',
      path: toGet,
      ...ranged('bytes=-2'),
      status: 206,
      contains: ['89'],
      answerHeaders: { 'content-range': 'bytes 8-9/10' },
    },
    {
      name: 'a range of another state',
      path: toGet,
      ...ranged('bytes=2-4', { 'if-range': '"old"' }),
      status: 200,
      contains: [CONTENT],
    },
    {
      name: 'several ranges, as the whole',
      path: toGet,
      ...ranged('bytes=0-1,3-4'),
      status: 200,
      contains: [CONTENT],
    },
    {
      name: 'if it is not another state',
      path: toGet,
      headers: { 'if-none-match': '"old"' },
      status: 200,
    },
    {
      name: 'if it is not there',
      path: toGet,
      headers: { 'if-none-match': '*' },
      status: 304,
      mustNotContain: [CONTENT],
    },
  ])

  test('with the ETag that is known gives no content', async () => {
    for (const header of [etag, `W/${etag}`, `"x", ${etag}`]) {
      const response = await harness.request({
        path: toGet(),
        headers: { 'if-none-match': header },
      })
      expect([response.status, response.headers.get('etag'), await response.text()]).toEqual([
        304,
        etag,
        '',
      ])
    }
    const headers = { range: 'bytes=2-4', 'if-range': etag }
    expect(await (await harness.request({ path: toGet(), headers })).text()).toBe('234')
  })

  test('by HEAD gives the headers of the whole', async () => {
    const response = await harness.request({
      method: 'HEAD',
      path: toGet(),
      headers: { range: 'bytes=2-4' },
    })
    expect([
      response.status,
      response.headers.get('content-length'),
      await response.text(),
    ]).toEqual([200, '10', ''])
  })

  test('leaves no file open', async () => {
    const open = () => readdirSync('/proc/self/fd').length
    const before = open()
    const requests = [
      {},
      { method: 'HEAD' },
      { headers: { 'if-none-match': etag } },
      { headers: { range: 'bytes=99-' } },
      { headers: { range: 'bytes=1-2' } },
    ]
    for (let round = 0; round < 20; round += 1) {
      for (const request of requests)
        await (await harness.request({ path: toGet(), ...request })).text()
      await (await harness.request({ path: toGet() })).body?.cancel()
    }
    expect(open()).toBeLessThan(before + 10)
  })
})

describe('writing', () => {
  const octets = { 'content-type': 'application/octet-stream' }
  testFiles([
    {
      name: 'beyond the signed length',
      method: 'PUT',
      path: () => toPut('up/a', 10),
      body: 'x'.repeat(11),
      status: 413,
      contains: ['at most 10 bytes'],
    },
    {
      name: 'beyond the server’s limit',
      method: 'PUT',
      path: () => toPut('up/a', 9999),
      body: 'x'.repeat(UPLOAD_BYTES_MAX + 1),
      status: 413,
      contains: ['at most 1000 bytes'],
    },
    {
      name: 'beyond what was announced as longer',
      method: 'PUT',
      path: () => toPut('up/a', 10),
      headers: { 'content-length': '99' },
      body: 'x',
      status: 413,
    },
    {
      name: 'less than was announced',
      method: 'PUT',
      path: () => toPut('up/a', 10),
      headers: { 'content-length': '9' },
      body: 'x',
      status: 400,
    },
    {
      name: 'an encoded body',
      method: 'PUT',
      path: () => toPut('up/a'),
      headers: { 'content-encoding': 'gzip' },
      body: 'x',
      status: 415,
    },
  ])

  test('leaves nothing when it is refused', async () => {
    expect(await keys()).toEqual([KEY])
    const left = readdirSync(join(harness.platform.config.DATA_DIR, 'files/@partial'))
    expect(left.filter((name) => !name.endsWith('model.onnx'))).toEqual([])
  })

  testFiles([
    {
      name: 'as much as was signed',
      method: 'PUT',
      path: () => toPut('up/a', 10),
      headers: octets,
      body: CONTENT,
      status: 201,
      has: { key: 'up/a', bytes: 10 },
      answerHeaders: { etag: /^"[0-9a-f]{64}"$/ },
    },
    {
      name: 'as much as the server takes',
      method: 'PUT',
      path: () => toPut('up/b', 9999),
      body: 'x'.repeat(UPLOAD_BYTES_MAX),
      status: 201,
    },
    {
      name: 'nothing',
      method: 'PUT',
      path: () => toPut('up/c'),
      body: '',
      status: 201,
      has: { bytes: 0 },
    },
  ])

  test('is what is read then', async () => {
    expect(await (await harness.request({ path: toGet('up/a') })).text()).toBe(CONTENT)
    expect(await keys()).toEqual([KEY, 'up/a', 'up/b', 'up/c'])
  })
})

describe('the folder', () => {
  const inFolder = (...path: string[]) => join(harness.platform.config.DATA_DIR, ...path)

  test('has a key that nobody else may read', () => {
    const { mode, size } = statSync(inFolder('files.key'))
    expect([mode & 0o777, size]).toEqual([0o600, 32])
  })

  test('is not left by a link', async () => {
    writeFileSync(inFolder('secret'), 'secret')
    symlinkSync(inFolder('secret'), inFolder('files', 'link'))
    mkdirSync(inFolder('outside'))
    writeFileSync(inFolder('outside', 'secret'), 'secret')
    symlinkSync(inFolder('outside'), inFolder('files', 'out@'))
    for (const key of ['link', 'out/secret']) {
      expect((await harness.request({ path: toGet(key) })).status).toBe(404)
      expect(await harness.platform.storage.localCopy(key)).toBeUndefined()
    }
    await harness.request({ method: 'PUT', path: toPut('out/new'), body: 'x' })
    await harness.request({ method: 'PUT', path: toPut('out/deep/new'), body: 'x' })
    await harness.platform.storage.delete('out/secret')
    expect(readdirSync(inFolder('outside'))).toEqual(['secret'])
    await harness.request({ method: 'PUT', path: toPut('link'), body: 'x' })
    expect(readFileSync(inFolder('secret'), 'utf8')).toBe('secret')
    expect((await keys()).filter((key) => key.startsWith('out'))).toEqual([])
  })

  test('computes the ETag anew of what somebody copied there', async () => {
    const first = await harness.platform.storage.put('hand', Buffer.from('one'))
    writeFileSync(inFolder('files', 'hand'), 'two')
    const second = await harness.platform.storage.stat('hand')
    expect(second).toMatchObject({ bytes: 3 })
    expect(second?.etag).not.toBe(first.etag)
    expect((await harness.platform.storage.put('hand', Buffer.from('two'))).etag).toBe(second!.etag)
  })
})
