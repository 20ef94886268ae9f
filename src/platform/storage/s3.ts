import { rmSync } from 'node:fs'
import { join } from 'node:path'

import { StartError } from '../start-error.ts'
import { Unavailable } from '../unavailable.ts'
import { createLocalCopies } from './local-copies.ts'
import { openPartials } from './partial.ts'
import {
  type ByteRange,
  Changed,
  cursorAfter,
  isKey,
  type OpenFile,
  pageOf,
  requireExpiry,
  requireKey,
  type Storage,
  type StoredFile,
} from './storage.ts'

/** Read at once, and held in memory for each reader. */
const WINDOW_BYTES = 4 * 1024 * 1024
/** A transfer that is slower counts as hanging. */
const SLOWEST_BYTES_PER_MS = 256
/** Of an address that this process uses itself, at once. */
const OWN_ADDRESS_SECONDS = 3600
const MEDIA_TYPE = 'application/octet-stream'
const PART = 'The object storage'

export interface S3Options {
  /** Without one, that of AWS in the region. */
  endpoint: string | undefined
  bucket: string
  region: string
  accessKeyId: string
  secretAccessKey: string
  /** Before every key, such as `quintet/`. */
  prefix: string
  /** Holds files on their way, and local copies. */
  directory: string
  uploadBytesMax: number
  cacheBytesMax: number
  /** For one answer; a transfer gets more by its size. */
  timeoutMs: number
}

/**
 * Keeps files in a bucket of S3, or of a server that speaks its protocol.
 *
 * What carries content goes through addresses that `Bun.S3Client` signs and `fetch`, which takes a
 * signal and gives the ETag. The client's own writer can't be used: in Bun 1.4.5 `writer.end(error)`
 * commits what was written so far. So a content is gathered on disk first and sent by one PUT, which S3
 * does whole or not at all, with no parts left over; that bounds a file at 5 GiB.
 *
 * @throws {StartError} when the bucket can't be used, with what to do about it.
 */
export async function openS3Storage(options: S3Options): Promise<Storage> {
  const { bucket, prefix, directory, uploadBytesMax, cacheBytesMax, timeoutMs } = options
  const client = new Bun.S3Client({
    bucket,
    region: options.region,
    accessKeyId: options.accessKeyId,
    secretAccessKey: options.secretAccessKey,
    endpoint: options.endpoint ?? `https://s3.${options.region}.amazonaws.com`,
    // Else the client reads AWS_SESSION_TOKEN, which belongs to another key.
    sessionToken: '',
  })
  await requireBucket(client, options)
  const partials = openPartials(join(directory, 'uploads'))
  const copies = createLocalCopies({
    directory: join(directory, 'file-copies'),
    bytesMax: cacheBytesMax,
    open: openKey,
  })

  function nameOf(key: string): string {
    requireKey(key)
    return prefix + key
  }

  /** Any answer that is one; 404, 412 and 416 are for the caller to read. */
  async function send(
    method: 'GET' | 'HEAD' | 'PUT',
    key: string,
    { headers = {}, body, bytes = 0, signal }: Sending = {},
  ): Promise<Answered> {
    const address = client.presign(nameOf(key), { method, expiresIn: OWN_ADDRESS_SECONDS })
    const deadline = AbortSignal.timeout(Math.ceil(timeoutMs + bytes / SLOWEST_BYTES_PER_MS))
    try {
      const response = await fetch(address, {
        method,
        headers,
        ...(body === undefined ? {} : { body }),
        signal: signal === undefined ? deadline : AbortSignal.any([signal, deadline]),
        redirect: 'error',
      })
      // The body too has the deadline, so it is read here.
      const content = new Uint8Array(await response.arrayBuffer())
      const { status } = response
      if (response.ok || [404, 412, 416].includes(status)) {
        return { status, headers: response.headers, content }
      }
      throw new Error(`${status} ${new TextDecoder().decode(content.subarray(0, 500))}`)
    } catch (cause) {
      signal?.throwIfAborted()
      throw new Unavailable(PART, { cause })
    }
  }

  async function stat(key: string, { signal }: { signal?: AbortSignal } = {}) {
    const { status, headers } = await send('HEAD', key, { signal })
    return status === 404 ? undefined : fileOf(key, headers)
  }

  async function openKey(
    key: string,
    options: { signal?: AbortSignal } = {},
  ): Promise<OpenFile | undefined> {
    const file = await stat(key, options)
    return file && { file, stream: (options) => stream(file, options), async close() {} }
  }

  function stream(file: StoredFile, options: Parameters<OpenFile['stream']>[0] = {}) {
    const { range = { start: 0, end: file.bytes - 1 }, signal } = options
    const cancelled = new AbortController()
    const ends =
      signal === undefined ? cancelled.signal : AbortSignal.any([signal, cancelled.signal])
    let at = range.start
    return new ReadableStream<Uint8Array>(
      {
        async pull(controller) {
          if (at <= range.end) {
            const end = Math.min(range.end, at + WINDOW_BYTES - 1)
            controller.enqueue(await readWindow(file, { start: at, end }, ends))
            at = end + 1
          }
          if (at > range.end) controller.close()
        },
        cancel: (reason) => cancelled.abort(reason),
      },
      { highWaterMark: 0 },
    )
  }

  /** Not every server heeds If-Match, so the ETag of the answer is compared as well. */
  async function readWindow(file: StoredFile, range: ByteRange, signal: AbortSignal) {
    const bytes = range.end - range.start + 1
    const isWhole = bytes === file.bytes
    const { status, headers, content } = await send('GET', file.key, {
      headers: {
        'if-match': file.etag,
        ...(isWhole ? {} : { range: `bytes=${range.start}-${range.end}` }),
      },
      bytes,
      signal,
    })
    if (status !== (isWhole ? 200 : 206) || headers.get('etag') !== file.etag) {
      throw new Changed(`${file.key} changed while it was read`)
    }
    if (content.length === bytes) return content
    throw new Unavailable(PART, { cause: new Error(`${content.length} bytes instead of ${bytes}`) })
  }

  return {
    driver: 's3',

    async put(key, content, { bytesMax = uploadBytesMax, signal } = {}) {
      requireKey(key)
      const partial = await partials.gather(content, { name: 'upload', bytesMax, signal })
      try {
        const { bytes } = partial
        const { status, headers } = await send('PUT', key, {
          // A stream of known length: given the file itself, fetch holds all of it in memory for TLS.
          headers: { 'content-length': String(bytes), 'content-type': MEDIA_TYPE },
          body: bytes === 0 ? '' : Bun.file(partial.path).stream(),
          bytes,
          signal,
        })
        const etag = headers.get('etag')
        if (status === 200 && etag !== null)
          return { key, bytes, etag, modifiedAt: dateOf(headers) }
        throw new Unavailable(PART, { cause: new Error(`${status} to a PUT`) })
      } finally {
        rmSync(partial.path, { force: true })
      }
    },

    stat,
    open: openKey,

    async delete(key) {
      await inTime(timeoutMs, client.delete(nameOf(key)))
    },

    async list(options = {}) {
      const page = pageOf(options)
      let after = page.after
      for (;;) {
        const { contents = [], isTruncated } = await inTime(
          timeoutMs,
          client.list({
            prefix: prefix + page.prefix,
            maxKeys: page.limit,
            ...(after === '' ? {} : { startAfter: prefix + after }),
          }),
        )
        const files = contents.flatMap(({ key: name, size = 0, lastModified }) => {
          const key = name.slice(prefix.length)
          // Somebody else may keep other things in the bucket.
          if (!isKey(key)) return []
          return [{ key, bytes: size, modifiedAt: new Date(lastModified ?? 0) }]
        })
        const last = contents.at(-1)?.key.slice(prefix.length)
        if (isTruncated !== true || last === undefined) return { files }
        const lastFile = files.at(-1)
        if (lastFile !== undefined) return { files, cursor: cursorAfter(lastFile.key) }
        // A page of nothing but other things leads nobody on.
        after = last
      }
    },

    localCopy: (key, options) => copies.acquire(key, options),

    downloadAddress(key, { expiresInSeconds }) {
      requireExpiry(expiresInSeconds)
      return client.presign(nameOf(key), {
        method: 'GET',
        expiresIn: expiresInSeconds,
        // A page that somebody stored must not run as one of the bucket's.
        contentDisposition: 'attachment',
      })
    },
    uploadAddress(key, { expiresInSeconds }) {
      requireExpiry(expiresInSeconds)
      return client.presign(nameOf(key), { method: 'PUT', expiresIn: expiresInSeconds })
    },
    judge: () => 'forged',

    async close() {
      copies.close()
    },
  }
}

interface Sending {
  headers?: Record<string, string>
  body?: ReadableStream<Uint8Array> | string
  /** What it carries, which its deadline allows for. */
  bytes?: number
  signal?: AbortSignal | undefined
}

interface Answered {
  status: number
  headers: Headers
  content: Uint8Array
}

const fileOf = (key: string, headers: Headers): StoredFile => ({
  key,
  bytes: Number(headers.get('content-length')),
  etag: headers.get('etag') ?? '',
  modifiedAt: dateOf(headers),
})

const dateOf = (headers: Headers) =>
  new Date(headers.get('last-modified') ?? headers.get('date') ?? Date.now())

/** `Bun.S3Client` takes no signal: what is late is left to itself. Only calls that carry little use it. */
async function inTime<T>(timeoutMs: number, call: Promise<T>): Promise<T> {
  const { promise: late, reject } = Promise.withResolvers<never>()
  const timer = setTimeout(() => reject(new Error(`no answer in ${timeoutMs} ms`)), timeoutMs)
  try {
    return await Promise.race([call, late])
  } catch (cause) {
    throw new Unavailable(PART, { cause })
  } finally {
    clearTimeout(timer)
  }
}

/** By listing one key, which needs the bucket, the key and the permission that all else needs. */
async function requireBucket(client: Bun.S3Client, options: S3Options): Promise<void> {
  const { bucket, prefix, timeoutMs } = options
  try {
    await inTime(timeoutMs, client.list({ prefix, maxKeys: 1 }))
  } catch (error) {
    const cause = error instanceof Unavailable ? error.cause : error
    const code = cause instanceof Error && 'code' in cause ? String(cause.code) : ''
    const where = options.endpoint ?? `AWS in ${options.region}`
    const reason = cause instanceof Error ? cause.message : String(cause)
    throw new StartError(
      mends[code]?.(bucket, where) ??
        `The object storage at ${where} can't be used (${code === '' ? reason : `${code}: ${reason}`}). ` +
          'Check S3_ENDPOINT and S3_REGION, and that this machine reaches it.',
      { cause },
    )
  }
}

const wrongKey = (_: string, where: string) =>
  `The object storage at ${where} refuses the key. Set S3_ACCESS_KEY_ID and S3_SECRET_ACCESS_KEY to a pair that it knows.`

const mends: Record<string, ((bucket: string, where: string) => string) | undefined> = {
  NoSuchBucket: (bucket, where) =>
    `There is no bucket ${bucket} at ${where}. Make it, or set S3_BUCKET to one that is there.`,
  AccessDenied: (bucket, where) =>
    `The key may not list the bucket ${bucket} at ${where}. Give it ListBucket, GetObject, PutObject and DeleteObject, or set S3_BUCKET to another one.`,
  InvalidAccessKeyId: wrongKey,
  SignatureDoesNotMatch: wrongKey,
}
