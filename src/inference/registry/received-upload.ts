import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'

import { Busboy, type BusboyFileStream } from '@fastify/busboy'

import { Problem } from '../../gateway/problem.ts'
import { type Fault, invalid, problems } from '../../gateway/problems.ts'
import type { Partials } from '../../platform/storage/partial.ts'
import { TooLarge } from '../../platform/storage/storage.ts'

/** A model file on this machine's disk, and what came with it. */
export interface ReceivedUpload {
  path: string
  bytes: number
  /** SHA-256, base64url. */
  digest: string
  manifest: Record<string, unknown>
  examples: unknown
}

interface Limits {
  modelBytesMax: number
  /** Of each part that is JSON. */
  jsonBytesMax: number
}

const MULTIPART = /^multipart\/form-data\b/i
/** As curl calls what it was told nothing of: somebody forgot a header. */
const FORM = /^application\/x-www-form-urlencoded\b/i
/** And a few that are ignored with a fault, so that it is named. */
const PARTS_MAX = 10
const JSON_PARTS = ['manifest', 'examples'] as const

/**
 * Receives an upload: the file alone, or parts `model`, `manifest` and `examples` in any order. The file
 * goes to disk as it comes in.
 *
 * @throws {Problem} 400 broken off, 413 too large, 415 what is neither, 422 parts that are none.
 */
export async function receiveUpload(
  { body, contentType }: { body: ReadableStream<Uint8Array>; contentType: string | null },
  options: { partials: Partials; limits: Limits; signal: AbortSignal },
): Promise<ReceivedUpload> {
  if (contentType === null || FORM.test(contentType)) {
    throw problems.unsupportedMediaType({
      detail: 'Send the file as application/octet-stream, or parts as multipart/form-data.',
    })
  }
  if (MULTIPART.test(contentType)) return receiveParts(body, contentType, options)
  const file = await receiveFile(body, options)
  return { ...file, manifest: {}, examples: undefined }
}

type ReceivedFile = Pick<ReceivedUpload, 'path' | 'bytes' | 'digest'>

async function receiveFile(
  content: ReadableStream<Uint8Array>,
  { partials, limits, signal }: { partials: Partials; limits: Limits; signal: AbortSignal },
): Promise<ReceivedFile> {
  try {
    const gathered = await partials.gather(content, {
      name: 'model',
      bytesMax: limits.modelBytesMax,
      signal,
    })
    const digest = Buffer.from(gathered.etag.slice(1, -1), 'hex').toString('base64url')
    return { path: gathered.path, bytes: gathered.bytes, digest }
  } catch (error) {
    if (!(error instanceof TooLarge)) throw error
    const detail = `A model may have at most ${limits.modelBytesMax} bytes.`
    throw problems.bodyTooLarge({ detail })
  }
}

async function receiveParts(
  body: ReadableStream<Uint8Array>,
  contentType: string,
  options: { partials: Partials; limits: Limits; signal: AbortSignal },
): Promise<ReceivedUpload> {
  const { jsonBytesMax } = options.limits
  const texts = new Map<string, string>()
  const faults: Fault[] = []
  let file: Promise<ReceivedFile> | undefined
  const reading: Promise<unknown>[] = []
  const busboy = open(contentType)
  const failing = new AbortController()
  // What can't be taken in ends the rest: nobody would read on.
  const failed = (error: unknown) => failing.abort(error)

  busboy.on('file', (name: string, stream: BusboyFileStream) => {
    if (name === 'model' && file === undefined) {
      file = receiveFile(Readable.toWeb(stream) as ReadableStream<Uint8Array>, options)
      file.catch(failed)
      return
    }
    if (!isJsonPart(name) || texts.has(name)) {
      faults.push(strange(name))
      stream.resume()
      return
    }
    const text = textOf(stream, name, jsonBytesMax)
    text.catch(failed)
    reading.push(text.then((given) => texts.set(name, given)))
  })
  busboy.on('field', (name: string, value: string, _: boolean, isCut: boolean) => {
    if (name === 'model') faults.push({ path: [name], detail: AS_FILE })
    else if (!isJsonPart(name) || texts.has(name)) faults.push(strange(name))
    else if (isCut) faults.push(tooLong(name, jsonBytesMax))
    else texts.set(name, value)
  })
  busboy.on('partsLimit', () =>
    faults.push({ path: [], detail: `has more than ${PARTS_MAX} parts` }),
  )

  try {
    await pipeline(Readable.fromWeb(body as never), busboy, { signal: failing.signal })
    await Promise.all(reading)
    if (faults.length > 0) throw invalid(faults)
    if (file === undefined) throw invalid([{ path: ['model'], detail: 'is missing' }])
    const received = await file
    return { ...received, manifest: manifestOf(texts), examples: jsonOf(texts, 'examples') }
  } catch (error) {
    await dispose(file)
    throw problemOf(failing.signal.aborted ? failing.signal.reason : error)
  }

  function open(type: string) {
    try {
      return Busboy({
        headers: { 'content-type': type },
        limits: { fieldSize: jsonBytesMax, parts: PARTS_MAX, fieldNameSize: 100 },
      })
    } catch (cause) {
      throw problems.malformedBody({ detail: 'The multipart body has no boundary.', cause })
    }
  }
}

const AS_FILE = 'is no file: send it as one, by curl with -F model=@PATH'

const isJsonPart = (name: string) => (JSON_PARTS as readonly string[]).includes(name)

const strange = (name: string): Fault => ({
  path: [name],
  detail: 'is no part of an upload, or stands twice: expected model, manifest and examples',
})

const tooLong = (name: string, bytesMax: number): Fault => ({
  path: [name],
  detail: `has more than ${bytesMax} bytes`,
})

async function textOf(stream: Readable, name: string, bytesMax: number): Promise<string> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of stream as AsyncIterable<Buffer>) {
    bytes += chunk.byteLength
    if (bytes > bytesMax) throw invalid([tooLong(name, bytesMax)])
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}

function jsonOf(texts: ReadonlyMap<string, string>, name: string): unknown {
  const text = texts.get(name)
  if (text === undefined || text.trim() === '') return undefined
  try {
    // Some editors begin a file with a mark.
    return JSON.parse(text.replace(/^\uFEFF/, '')) as unknown
  } catch {
    throw invalid([{ path: [name], detail: 'is not valid JSON' }])
  }
}

function manifestOf(texts: ReadonlyMap<string, string>): Record<string, unknown> {
  const manifest = jsonOf(texts, 'manifest') ?? {}
  if (typeof manifest === 'object' && !Array.isArray(manifest)) {
    return manifest as Record<string, unknown>
  }
  throw invalid([{ path: ['manifest'], detail: 'is no object' }])
}

/** What was received of a file that nobody wants any more. */
async function dispose(file: Promise<ReceivedFile> | undefined): Promise<void> {
  const received = await file?.catch(() => undefined)
  if (received !== undefined) await Bun.file(received.path).delete()
}

/** What the parser says of a body that is none of its form, or ends early. */
function problemOf(error: unknown): unknown {
  if (!(error instanceof Error) || error instanceof Problem || error.name === 'AbortError') {
    return error
  }
  const isOfParser = /multipart|unexpected end|boundary|header/i.test(error.message)
  if (!isOfParser) return error
  return problems.malformedBody({
    detail: 'The multipart body is broken off or malformed.',
    cause: error,
  })
}
