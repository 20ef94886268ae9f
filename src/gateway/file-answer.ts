import type { OpenFile } from '../platform/storage/storage.ts'
import { byteRangeOf } from './byte-range.ts'
import { problems } from './problems.ts'
import type { RequestContext } from './route.ts'

interface FileDescription {
  mediaType: string
  /** Under which a browser keeps it; its own otherwise. Letters that need no quotes. */
  fileName?: string
}

/**
 * Answers a GET or HEAD by a stored file, by RFC 9110: conditions first (13.2.2), then one range (14.2). Closes
 * what it does not send.
 *
 * @throws {Problem} 416.
 */
export async function fileAnswer(
  opened: OpenFile,
  context: RequestContext,
  description: FileDescription,
): Promise<Response> {
  let isStreaming = false
  try {
    const response = answerOf(opened, context.request, description)
    // Nobody would read what is answered too late, and so close it.
    isStreaming = response.body !== null && !context.isAbandoned()
    return response
  } finally {
    if (!isStreaming) await opened.close()
  }
}

function answerOf(
  opened: OpenFile,
  { method, headers: asked }: Request,
  { mediaType, fileName }: FileDescription,
): Response {
  const { bytes, etag, modifiedAt } = opened.file
  const headers = {
    etag,
    'accept-ranges': 'bytes',
    'cache-control': 'private, no-cache',
    'content-type': mediaType,
    'last-modified': modifiedAt.toUTCString(),
    // What somebody stored must not run as a page of this server.
    'content-disposition':
      fileName === undefined ? 'attachment' : `attachment; filename="${fileName}"`,
  }
  if (isNamed(etag, asked.get('if-none-match'))) return new Response(null, { status: 304, headers })

  // RFC 9110, 14.2: a range is defined for GET alone.
  const ifRange = asked.get('if-range')
  const mayBePart = method === 'GET' && (ifRange === null || ifRange === etag)
  const range = byteRangeOf(mayBePart ? asked.get('range') : null, bytes)
  if (range === 'beyond') {
    throw problems.rangeNotSatisfiable({
      detail: `The file has ${bytes} bytes.`,
      headers: { 'content-range': `bytes */${bytes}` },
    })
  }
  if (method === 'HEAD') {
    return new Response(null, { headers: { ...headers, 'content-length': String(bytes) } })
  }
  if (range === undefined) {
    return new Response(opened.stream(), {
      headers: { ...headers, 'content-length': String(bytes) },
    })
  }
  return new Response(opened.stream({ range }), {
    status: 206,
    headers: {
      ...headers,
      'content-length': String(range.end - range.start + 1),
      'content-range': `bytes ${range.start}-${range.end}/${bytes}`,
    },
  })
}

/** If-None-Match compares weakly: `W/` before a tag says nothing. */
export function isNamed(etag: string, header: string | null): boolean {
  const tags = header?.split(',').map((tag) => tag.trim().replace(/^W\//, '')) ?? []
  return tags.includes(etag) || tags.includes('*')
}
