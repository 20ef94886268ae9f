import type { z } from '@hono/zod-openapi'

import { Problem } from './problem.ts'
import { type Fault, invalid, problems, within } from './problems.ts'

const JSON_MEDIA_TYPE = /^application\/(?:[\w.-]+\+)?json\s*(?:;|$)/i
const FORM_MEDIA_TYPE = /^application\/x-www-form-urlencoded\s*(?:;|$)/i
/** Each costs its whole path. */
const FAULTS_NAMED_MAX = 3
const STEPS_NAMED_MAX = 20
/** For what has a few short fields, such as a password or a name. */
export const FIELDS_BYTES_MAX = 16 * 1024
const NUL = '\u0000'
const utf8 = new TextDecoder('utf-8', { fatal: true })
const DOUBTFUL_ESCAPE = /\\u(?:[dD][89a-fA-F]|0000)/

/** Whether a request has no body at all, and does not say that it has one. */
function hasNone({ headers, body }: Request): boolean {
  const length = headers.get('content-length')
  const isEmpty = length === null ? body === null : length === '0'
  return isEmpty && !headers.has('content-type') && !headers.has('transfer-encoding')
}

/**
 * Reads a JSON body of at most `bytesMax` bytes. Of a key that stands twice the last value wins.
 *
 * @param isOptional whether no body at all is read as `{}`.
 * @throws {Problem} 400 malformed, 413 too large, 415 not JSON, 422 a string that is no Unicode.
 */
export function readJson(request: Request, bytesMax: number, isOptional = false): Promise<unknown> {
  const type = request.headers.get('content-type')
  if (type === null || !JSON_MEDIA_TYPE.test(type)) {
    if (isOptional && hasNone(request)) return Promise.resolve({})
    throw problems.unsupportedMediaType({
      detail: 'Send JSON, with the header Content-Type: application/json.',
    })
  }
  refuseEncoding(request)
  return readText(request, bytesMax).then(parsed)
}

function parsed(text: string): unknown {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (cause) {
    throw problems.malformedBody({ detail: 'The body is not valid JSON.', cause })
  }
  // Only an escape can spell half a character or none, so only such bodies are searched.
  if (DOUBTFUL_ESCAPE.test(text)) refuseBadCharacters(value)
  return value
}

/**
 * Reads a form of at most `bytesMax` bytes, as HTML and OAuth send it.
 *
 * @throws {Problem} 400 malformed, 413 too large, 415 no form, 422 a field that stands twice (RFC 6749,
 * section 3.2), or with a character that is none.
 */
export async function readForm(request: Request, bytesMax: number): Promise<unknown> {
  const type = request.headers.get('content-type')
  if (type === null || !FORM_MEDIA_TYPE.test(type)) {
    throw problems.unsupportedMediaType({
      detail: 'Send a form, with the header Content-Type: application/x-www-form-urlencoded.',
    })
  }
  refuseEncoding(request)
  const fields = new URLSearchParams(await readText(request, bytesMax))
  const faults = faultsOfParameters(fields)
  if (faults.length > 0) throw invalid(faults)
  return Object.fromEntries(fields)
}

/**
 * A body of any kind as it comes in. Its stream fails beyond `bytesMax` bytes, and when it ends before
 * the announced length.
 *
 * @throws {Problem} 413 where the announced length is beyond the bound, 415 where it is encoded.
 */
export function readStream(request: Request, bytesMax: number): ReadableStream<Uint8Array> {
  refuseEncoding(request)
  const header = request.headers.get('content-length')
  const declared = header === null ? undefined : Number(header)
  if (declared !== undefined && declared > bytesMax) throw tooLarge(bytesMax)
  const reader = request.body?.getReader()
  let bytes = 0
  return new ReadableStream(
    {
      async pull(controller) {
        const { done, value } = (await reader?.read().catch(endedEarly)) ?? { done: true }
        if (value !== undefined) {
          bytes += value.byteLength
          if (bytes > bytesMax) throw tooLarge(bytesMax)
          controller.enqueue(value)
        }
        if (!done) return
        if (declared !== undefined && bytes < declared) endedEarly()
        controller.close()
      },
      cancel: (reason) => reader?.cancel(reason),
    },
    { highWaterMark: 0 },
  )
}

const tooLarge = (bytesMax: number) =>
  problems.bodyTooLarge({ detail: `The body may have at most ${bytesMax} bytes.` })

function refuseEncoding(request: Request): void {
  const encoding = request.headers.get('content-encoding')
  if (encoding === null || encoding === 'identity') return
  throw problems.unsupportedMediaType({ detail: 'Send the body without Content-Encoding.' })
}

function readText(request: Request, bytesMax: number): Promise<string> {
  const declared = request.headers.get('content-length')
  if (declared === null) return readChunks(request, bytesMax)
  if (Number(declared) > bytesMax) throw tooLarge(bytesMax)
  return request.bytes().then((bytes) => {
    // Beside Transfer-Encoding the announced length means nothing.
    if (bytes.byteLength > bytesMax) throw tooLarge(bytesMax)
    return decode(bytes)
  }, endedEarly)
}

async function readChunks(request: Request, bytesMax: number): Promise<string> {
  if (request.body === null) return ''
  const chunks: Uint8Array[] = []
  let bytes = 0
  try {
    for await (const chunk of request.body) {
      bytes += chunk.byteLength
      if (bytes > bytesMax) throw tooLarge(bytesMax)
      chunks.push(chunk)
    }
  } catch (error) {
    throw error instanceof Problem ? error : endedEarly(error)
  }
  return decode(Buffer.concat(chunks))
}

/** What is no UTF-8 is refused: put right in silence, a name would not be the one that was sent. */
function decode(bytes: Uint8Array): string {
  try {
    return utf8.decode(bytes)
  } catch (cause) {
    throw problems.malformedBody({ detail: 'The body is not UTF-8.', cause })
  }
}

/** The client went away: no bug of ours, and nobody reads the answer. */
function endedEarly(cause?: unknown): never {
  throw problems.malformedBody({ detail: 'The body ended early.', cause })
}

/** Where a value stands, as a link to what holds it: to copy paths would cost the square of the depth. */
interface Place {
  value: unknown
  key: string
  parent: Place | undefined
}

/** Half a character is no text, and U+0000 is none that a database has to take. */
function refuseBadCharacters(root: unknown): void {
  const faults: Fault[] = []
  const blame = (place: Place, detail: string) => faults.push({ path: pathTo(place), detail })
  // A list, not a recursion: a body may be nested deeper than the stack.
  const open: Place[] = [{ value: root, key: '', parent: undefined }]
  for (let place = open.pop(); place !== undefined; place = open.pop()) {
    const { value } = place
    if (faults.length >= FAULTS_NAMED_MAX) break
    if (typeof value === 'string') {
      if (!value.isWellFormed()) blame(place, 'has half of a surrogate pair')
      if (value.includes(NUL)) blame(place, 'has the character U+0000')
    } else if (typeof value === 'object' && value !== null) {
      for (const [key, member] of Object.entries(value)) {
        if (!key.isWellFormed()) blame(place, 'has a key with half of a surrogate pair')
        if (key.includes(NUL)) blame(place, 'has a key with the character U+0000')
        open.push({ value: member, key: key.toWellFormed(), parent: place })
      }
    }
  }
  if (faults.length > 0) throw invalid(faults)
}

function pathTo(place: Place): string[] {
  const path: string[] = []
  for (let at: Place = place; at.parent !== undefined; at = at.parent) path.push(at.key)
  // Of a place that is nested absurdly deep the first steps say enough.
  return path.toReversed().slice(0, STEPS_NAMED_MAX)
}

/**
 * The query of an address against a schema. A parameter that stands twice is refused, since the one
 * that counts here might not be the one that counted elsewhere.
 *
 * @throws {Problem} 422 naming each fault as `#/query/…`.
 */
export function checkedQuery<Schema extends z.ZodType>(
  schema: Schema,
  url: string,
): z.output<Schema> {
  const { searchParams } = new URL(url)
  const parsed = schema.safeParse(Object.fromEntries(searchParams))
  const issues = parsed.error?.issues ?? []
  const faults = [...faultsOfParameters(searchParams), ...issues.flatMap(faultsOf)]
  if (parsed.success && faults.length === 0) return parsed.data
  throw invalid(faults.map((fault) => within(fault, 'query')))
}

function faultsOfParameters(parameters: URLSearchParams): Fault[] {
  const twice = [...new Set(parameters.keys())]
    .filter((name) => parameters.getAll(name).length > 1)
    .map((name) => ({ path: [name], detail: 'stands more than once' }))
  const broken = [...parameters]
    .filter(([name, value]) => name.includes(NUL) || value.includes(NUL))
    .map(([name]) => ({ path: [name], detail: 'has the character U+0000' }))
  return [...twice, ...broken]
}

/** @throws {Problem} 404 where a parameter has a character that no name has. */
export function checkedPath(schema: z.ZodType, parameters: Record<string, string>): unknown {
  if (Object.values(parameters).some((value) => value.includes(NUL))) throw problems.notFound()
  return schema.parse(parameters)
}

/** @throws {Problem} 422 naming each fault. */
export function checked<Schema extends z.ZodType>(
  schema: Schema,
  value: unknown,
): z.output<Schema> {
  const parsed = schema.safeParse(value)
  if (parsed.success) return parsed.data
  throw invalid(parsed.error.issues.flatMap(faultsOf))
}

function faultsOf(issue: z.core.$ZodIssue): Fault[] {
  const { path, message } = issue
  if (issue.code !== 'unrecognized_keys') return [{ path, detail: plainly(message) }]
  return issue.keys.map((key) => ({ path: [...path, key], detail: 'is no key of this request' }))
}

const plainly = (message: string) =>
  message.endsWith(', received undefined') ? 'is missing' : message.replace(/^Invalid input: /, '')
