import { afterAll, afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { openHarness } from '../../../tests/support/harness.ts'
import { refusal } from '../../../tests/support/refusal.ts'
import { StartError } from '../start-error.ts'
import { Unavailable } from '../unavailable.ts'
import { bytesOf, testS3Options } from './drivers.fixture.ts'
import { openS3Storage } from './s3.ts'
import { Changed, type Storage } from './storage.ts'

/** STORAGE_TIMEOUT_MS, as it were. */
const TIMEOUT_MS = 300

const directory = mkdtempSync(join(tmpdir(), 'quintet-s3-'))
afterAll(() => rmSync(directory, { recursive: true, force: true }))

const EMPTY_LIST = '<ListBucketResult><KeyCount>0</KeyCount></ListBucketResult>'
type Handler = (request: Request) => Response | Promise<Response>

/** A server that says what a test wants it to, after the check at the start. */
function startStandIn() {
  const standIn = { answer: (() => new Response(EMPTY_LIST)) as Handler, requests: 0 }
  const server = Bun.serve({
    port: 0,
    hostname: '127.0.0.1',
    fetch(request) {
      standIn.requests += 1
      return standIn.answer(request)
    },
  })
  return Object.assign(standIn, {
    url: `http://127.0.0.1:${server.port}`,
    stop: () => server.stop(true),
  })
}

const optionsFor = (endpoint: string) => ({
  endpoint,
  bucket: 'test',
  region: 'us-east-1',
  accessKeyId: 'id',
  secretAccessKey: 'secret',
  prefix: 'p/',
  directory,
  uploadBytesMax: 1_000_000,
  cacheBytesMax: 1_000_000,
  timeoutMs: TIMEOUT_MS,
})

let standIn: ReturnType<typeof startStandIn>
let storage: Storage
beforeEach(async () => {
  standIn = startStandIn()
  storage = await openS3Storage(optionsFor(standIn.url))
})
afterEach(async () => {
  await storage.close()
  await standIn.stop()
})

const calls: [string, () => Promise<unknown>][] = [
  ['put', () => storage.put('a', Buffer.from('x'))],
  ['stat', () => storage.stat('a')],
  ['open', () => storage.open('a')],
  ['delete', () => storage.delete('a')],
  ['list', () => storage.list()],
  ['localCopy', () => storage.localCopy('a')],
]

describe('a server that is away', () => {
  const states: [string, () => Promise<void> | void][] = [
    ['refuses connections', () => standIn.stop()],
    [
      'fails',
      () => {
        standIn.answer = () => new Response('<Error><Code>SlowDown</Code></Error>', { status: 503 })
      },
    ],
    [
      'is silent',
      () => {
        standIn.answer = () => new Promise<Response>(() => {})
      },
    ],
  ]
  describe.each(states)('since it %s', (_, begin) => {
    test.each(calls)('makes %s unavailable, in time, and leaves nothing', async (_, call) => {
      await begin()
      const startedAt = performance.now()
      const error = await refusal(call())
      expect(error).toBeInstanceOf(Unavailable)
      expect(error).toMatchObject({ part: 'The object storage', retryAfterSeconds: 5 })
      expect(performance.now() - startedAt).toBeLessThan(TIMEOUT_MS * 10)
      expect(readdirSync(join(directory, 'uploads'))).toEqual([])
    })
  })

  test('is not waited for by who has given up', async () => {
    standIn.answer = () => new Promise<Response>(() => {})
    const signal = AbortSignal.timeout(20)
    const error = await refusal(storage.stat('a', { signal }))
    expect(error).not.toBeInstanceOf(Unavailable)
    expect(error).toMatchObject({ name: 'TimeoutError' })
  })
})

describe('a file that changes between two reads', () => {
  const answerOf =
    (etag: string, text: string, status = 200): Handler =>
    (request) =>
      new Response(request.method === 'HEAD' ? null : text, {
        status,
        headers: { etag, 'content-length': String(text.length) },
      })

  test.each([
    ['412', answerOf('"new"', '', 412)],
    ['another ETag', answerOf('"new"', 'text')],
    ['nothing', answerOf('"new"', '', 404)],
  ])('is never mixed with the old one: the server says %s', async (_, later) => {
    standIn.answer = answerOf('"old"', 'text')
    const opened = await storage.open('a')
    standIn.answer = later
    expect(await refusal(bytesOf(opened?.stream()))).toBeInstanceOf(Changed)
  })
})

describe('it refuses to start, with a sentence that says what to do', () => {
  const refuse =
    (code: string, status: number): Handler =>
    () =>
      new Response(`<Error><Code>${code}</Code><Message>no</Message></Error>`, { status })

  test.each([
    ['without the bucket', refuse('NoSuchBucket', 404), 'set S3_BUCKET'],
    ['without the permission', refuse('AccessDenied', 403), 'Give it ListBucket'],
    ['with an unknown key', refuse('InvalidAccessKeyId', 403), 'Set S3_ACCESS_KEY_ID and'],
    ['with a wrong secret', refuse('SignatureDoesNotMatch', 403), 'S3_SECRET_ACCESS_KEY'],
    ['with what is no S3', () => new Response('hello', { status: 500 }), 'Check S3_ENDPOINT'],
    ['with a silent server', () => new Promise<Response>(() => {}), 'Check S3_ENDPOINT'],
  ])('%s', async (_, answer, sentence) => {
    standIn.answer = answer
    const error = await refusal(openS3Storage(optionsFor(standIn.url)))
    expect(error).toBeInstanceOf(StartError)
    expect((error as Error).message).toContain(sentence)
    expect((error as Error).message).toContain(standIn.url)
  })

  const options = testS3Options(directory)
  test.skipIf(options === undefined)('on a real server, on a wrong bucket', async () => {
    const error = await refusal(openS3Storage({ ...options!, bucket: 'no-such-bucket' }))
    expect((error as Error).message).toContain('There is no bucket no-such-bucket')
  })
})

const real = testS3Options(directory)
describe.skipIf(real === undefined)('an address, on a real server', () => {
  let storage: Storage
  const key = 'address'
  const expiry = { expiresInSeconds: 60, bytesMax: 100 }
  beforeEach(async () => {
    storage = await openS3Storage(real!)
    await storage.put(key, Buffer.from('0123456789'))
  })
  afterEach(async () => {
    await storage.delete(key)
    await storage.close()
  })
  const status = async (address: string, options: RequestInit = {}) => {
    const response = await fetch(address, options)
    await response.arrayBuffer()
    return response.status
  }
  const put = { method: 'PUT', body: 'other' }

  test('reads, as an attachment and by ranges, and writes', async () => {
    const address = storage.downloadAddress(key, expiry)
    const response = await fetch(address)
    expect(response.headers.get('content-disposition')).toBe('attachment')
    expect(await response.text()).toBe('0123456789')
    for (const [range, text] of [
      ['bytes=0-0', '0'],
      ['bytes=-3', '789'],
    ] as const) {
      const part = await fetch(address, { headers: { range } })
      expect([part.status, await part.text()]).toEqual([206, text])
    }
    expect(await status(address, { headers: { 'if-match': '"0"' } })).toBe(412)
    expect(await status(storage.uploadAddress(key, expiry), put)).toBe(200)
    expect((await storage.stat(key))?.bytes).toBe(5)
  })

  test('counts for nothing else: neither method, key, end, disposition nor signature', async () => {
    const download = storage.downloadAddress(key, expiry)
    const upload = storage.uploadAddress(key, expiry)
    const change = (address: string, name: string, value: string) => {
      const url = new URL(address)
      url.searchParams.set(name, value)
      return url.href
    }
    const forged = 'X-Amz-Signature'
    expect(await status(download, put)).toBe(403)
    expect(await status(download, { method: 'DELETE' })).toBe(403)
    expect(await status(upload)).toBe(403)
    expect(await status(download.replace(key, 'addresses'))).toBe(403)
    expect(await status(change(download, 'X-Amz-Expires', '600'))).toBe(403)
    expect(await status(change(download, 'response-content-disposition', 'inline'))).toBe(403)
    expect(await status(change(download, forged, '0'.repeat(64)))).toBe(403)
    expect(await status(change(upload, forged, '0'.repeat(64)), put)).toBe(403)
    expect((await storage.stat(key))?.bytes).toBe(10)
  })

  test('ends', async () => {
    const address = storage.downloadAddress(key, { expiresInSeconds: 1 })
    await Bun.sleep(2100)
    expect(await status(address)).toBe(403)
  })
})

test('with S3_BUCKET, the whole server keeps files there, and honours no address of its own', async () => {
  // The stand-in takes no files, so there are no models to adopt.
  const MODELS_DIR = mkdtempSync(join(tmpdir(), 'quintet-no-models-'))
  const harness = await openHarness({
    MODELS_DIR,
    S3_BUCKET: 'test',
    S3_ENDPOINT: standIn.url,
    S3_ACCESS_KEY_ID: 'id',
    S3_SECRET_ACCESS_KEY: 'secret',
    S3_PREFIX: 'p/',
    STORAGE_TIMEOUT_MS: String(TIMEOUT_MS),
  })
  const { storage } = harness.platform
  expect(storage.driver).toBe('s3')
  const address = new URL(storage.downloadAddress('a', { expiresInSeconds: 60 }))
  expect(address.href).toStartWith(`${standIn.url}/test/p/a?`)
  const path = `/api/v1/files/a?expires=9999999999&signature=${'A'.repeat(43)}`
  expect((await harness.request({ path })).status).toBe(403)
  await harness.close()
  rmSync(MODELS_DIR, { recursive: true })
})

test.skipIf(real === undefined)('a list goes past what others keep in the bucket', async () => {
  const options = { ...real!, prefix: `foreign-${Bun.randomUUIDv7()}/` }
  const client = new Bun.S3Client({ ...options, endpoint: options.endpoint ?? '' })
  const foreign = ['a holiday photo.txt', 'another one.txt', 'between us.txt', 'zzz top.txt']
  for (const name of foreign) await client.write(`${options.prefix}${name}`, 'x')
  const shared = await openS3Storage(options)
  for (const key of ['b', 'c']) await shared.put(key, Buffer.from('x'))
  const keys: string[] = []
  let cursor: string | undefined
  do {
    const page = await shared.list({ limit: 1, ...(cursor === undefined ? {} : { cursor }) })
    keys.push(...page.files.map(({ key }) => key))
    cursor = page.cursor
  } while (cursor !== undefined)
  expect(keys).toEqual(['b', 'c'])
  await shared.close()
})
