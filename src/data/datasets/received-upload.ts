import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'

import { Busboy, type BusboyFileStream } from '@fastify/busboy'

import { Problem } from '../../gateway/problem.ts'
import { type Fault, invalid, problems } from '../../gateway/problems.ts'
import type { Partials } from '../../platform/storage/partial.ts'
import { TooLarge } from '../../platform/storage/storage.ts'

/** A file on this machine's disk, and what its sender said of it. */
export interface ReceivedUpload {
  path: string
  bytes: number
  mediaType: string | undefined
  fileName: string | undefined
}

interface ReceiveOptions {
  partials: Partials
  bytesMax: number
  signal: AbortSignal
}

const MULTIPART = /^multipart\/form-data\b/i
/** As curl calls what it was told nothing of: somebody forgot a header. */
const FORM = /^application\/x-www-form-urlencoded\b/i
const PART = 'file'
const AS_FILE = 'is no file: send it as one, by curl with -F file=@PATH'

/**
 * Receives a file, as the body or as the part `file` of a form. It goes to disk as it comes in, and what
 * breaks off leaves nothing there.
 *
 * @throws {Problem} 400 broken off, 413 too large, 415 what is neither, 422 other parts.
 */
export async function receiveUpload(
  { body, contentType }: { body: ReadableStream<Uint8Array>; contentType: string | null },
  options: ReceiveOptions,
): Promise<ReceivedUpload> {
  if (contentType === null || FORM.test(contentType)) {
    throw problems.unsupportedMediaType({
      detail:
        'Say what the file is by Content-Type, such as text/csv, or send it as part `file` of multipart/form-data.',
    })
  }
  if (MULTIPART.test(contentType)) return receivePart(body, contentType, options)
  return { ...(await receiveFile(body, options)), mediaType: contentType, fileName: undefined }
}

async function receiveFile(
  content: ReadableStream<Uint8Array>,
  { partials, bytesMax, signal }: ReceiveOptions,
): Promise<Pick<ReceivedUpload, 'path' | 'bytes'>> {
  try {
    const { path, bytes } = await partials.gather(content, { name: 'upload', bytesMax, signal })
    return { path, bytes }
  } catch (error) {
    if (!(error instanceof TooLarge)) throw error
    throw problems.bodyTooLarge({ detail: `An upload may have at most ${bytesMax} bytes.` })
  }
}

async function receivePart(
  body: ReadableStream<Uint8Array>,
  contentType: string,
  options: ReceiveOptions,
): Promise<ReceivedUpload> {
  const faults: Fault[] = []
  let file: Promise<ReceivedUpload> | undefined
  const failing = new AbortController()
  const busboy = open(contentType)
  const strange = (name: string, detail: string) => faults.push({ path: [name], detail })

  busboy.on('file', (name: string, stream: BusboyFileStream, fileName, _, mediaType) => {
    if (name !== PART || file !== undefined) {
      strange(name, `is no part of an upload, or stands twice: expected ${PART}`)
      stream.resume()
      return
    }
    const content = Readable.toWeb(stream) as ReadableStream<Uint8Array>
    file = receiveFile(content, options).then((received) => ({ ...received, mediaType, fileName }))
    // What can't be taken in ends the rest: nobody would read on.
    file.catch((error: unknown) => failing.abort(error))
  })
  busboy.on('field', (name: string) =>
    strange(name, name === PART ? AS_FILE : `is no part of an upload: expected ${PART}`),
  )

  try {
    await pipeline(Readable.fromWeb(body as never), busboy, { signal: failing.signal })
    if (faults.length > 0) throw invalid(faults)
    if (file === undefined) throw invalid([{ path: [PART], detail: 'is missing' }])
    return await file
  } catch (error) {
    const received = await file?.catch(() => undefined)
    if (received !== undefined) await Bun.file(received.path).delete()
    throw problemOf(failing.signal.aborted ? failing.signal.reason : error)
  }
}

function open(contentType: string) {
  try {
    const limits = { parts: 3, fieldSize: 1000, fieldNameSize: 100 }
    return Busboy({ headers: { 'content-type': contentType }, limits })
  } catch (cause) {
    throw problems.malformedBody({ detail: 'The multipart body has no boundary.', cause })
  }
}

/** What the parser says of a body that is none of its form, or ends early. */
function problemOf(error: unknown): unknown {
  if (!(error instanceof Error) || error instanceof Problem || error.name === 'AbortError') {
    return error
  }
  if (!/multipart|unexpected end|boundary|header/i.test(error.message)) return error
  return problems.malformedBody({
    detail: 'The multipart body is broken off or malformed.',
    cause: error,
  })
}
