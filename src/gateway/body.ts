import type { z } from '@hono/zod-openapi'

import { type Fault, invalid, problems } from './problems.ts'

const JSON_MEDIA_TYPE = /^application\/(?:[\w.-]+\+)?json\s*(?:;|$)/i
const SURROGATE_ESCAPE = /\\u[dD][89a-fA-F]/

/**
 * Reads a JSON body of at most `bytesMax` bytes. Of a key that stands twice the last value wins.
 *
 * @throws {Problem} 400 malformed, 413 too large, 415 not JSON, 422 a string that is no Unicode.
 */
export async function readJson(request: Request, bytesMax: number): Promise<unknown> {
  const type = request.headers.get('content-type')
  if (type === null || !JSON_MEDIA_TYPE.test(type)) {
    throw problems.unsupportedMediaType({
      detail: 'Send JSON, with the header Content-Type: application/json.',
    })
  }
  const encoding = request.headers.get('content-encoding')
  if (encoding !== null && encoding !== 'identity') {
    throw problems.unsupportedMediaType({ detail: 'Send the body without Content-Encoding.' })
  }
  const text = await readText(request, bytesMax)
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (cause) {
    throw problems.malformedBody({ detail: 'The body is not valid JSON.', cause })
  }
  // Only an escape can spell half a character, so only such bodies are searched.
  if (SURROGATE_ESCAPE.test(text)) refuseLoneSurrogates(value)
  return value
}

async function readText(request: Request, bytesMax: number): Promise<string> {
  const tooLarge = () =>
    problems.bodyTooLarge({ detail: `The body may have at most ${bytesMax} bytes.` })
  const declared = request.headers.get('content-length')
  if (declared !== null) {
    if (Number(declared) > bytesMax) throw tooLarge()
    const text = await request.text()
    // Beside Transfer-Encoding the announced length means nothing.
    if (text.length > bytesMax) throw tooLarge()
    return text
  }
  if (request.body === null) return ''
  const chunks: Uint8Array[] = []
  let bytes = 0
  for await (const chunk of request.body) {
    bytes += chunk.byteLength
    if (bytes > bytesMax) throw tooLarge()
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}

function refuseLoneSurrogates(root: unknown): void {
  const faults: Fault[] = []
  // A list, not a recursion: a body may be nested deeper than the stack.
  const open: [path: PropertyKey[], value: unknown][] = [[[], root]]
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    const [path, value] = next
    if (typeof value === 'string' && !value.isWellFormed()) {
      faults.push({ path, detail: 'has half of a surrogate pair' })
    } else if (typeof value === 'object' && value !== null) {
      for (const [key, member] of Object.entries(value)) {
        if (!key.isWellFormed())
          faults.push({ path, detail: 'has a key with half of a surrogate pair' })
        open.push([[...path, key.toWellFormed()], member])
      }
    }
  }
  if (faults.length > 0) throw invalid(faults)
}

/** @throws {Problem} 422 naming each fault. */
export function checked<Schema extends z.ZodType>(
  schema: Schema,
  value: unknown,
): z.output<Schema> {
  const parsed = schema.safeParse(value)
  if (parsed.success) return parsed.data
  throw invalid(parsed.error.issues.map(({ path, message }) => ({ path, detail: message })))
}
