import { open } from 'node:fs/promises'

import type { Compression, UploadFormat } from '../conversion/upload-format.ts'
import type { ReceivedUpload } from './received-upload.ts'

const HEAD_BYTES = 4096

const byMediaType: [RegExp, UploadFormat][] = [
  [/^text\/csv\b/i, 'csv'],
  [/^text\/tab-separated-values\b/i, 'tsv'],
  [/^application\/(?:x-)?(?:ndjson|jsonl|jsonlines)\b/i, 'ndjson'],
  [/^application\/json\b/i, 'json'],
  [/^application\/(?:vnd\.apache\.|x-)?parquet\b/i, 'parquet'],
  [/^application\/vnd\.apache\.arrow\.(?:file|stream)\b/i, 'arrow'],
]
const byExtension: Record<string, UploadFormat> = {
  csv: 'csv',
  txt: 'csv',
  tsv: 'tsv',
  tab: 'tsv',
  ndjson: 'ndjson',
  jsonl: 'ndjson',
  json: 'json',
  parquet: 'parquet',
  arrow: 'arrow',
  arrows: 'arrow',
  feather: 'arrow',
  ipc: 'arrow',
}
const beginnings: [hex: string, format: UploadFormat][] = [
  ['50415231', 'parquet'],
  ['4152524f5731', 'arrow'],
  // Of a stream.
  ['ffffffff', 'arrow'],
]

/**
 * What an upload is: as its sender says, by the query, its Content-Type or its name; else by how it begins. How it
 * is compressed is plain from its first bytes, whatever they say.
 */
export async function formatOf(
  upload: ReceivedUpload,
  said: UploadFormat | undefined,
): Promise<{ format: UploadFormat; compression: Compression }> {
  const head = await headOf(upload.path)
  const { mediaType = '', fileName = '' } = upload
  const extension = fileName
    .toLowerCase()
    .replace(/\.(?:gz|gzip|zst|zstd)$/, '')
    .split('.')
    .pop()!
  const format =
    said ??
    byMediaType.find(([pattern]) => pattern.test(mediaType))?.[1] ??
    byExtension[extension] ??
    guessed(head)
  return { format, compression: compressionOf(head) }
}

function compressionOf(head: Buffer): Compression {
  if (head.subarray(0, 2).toString('hex') === '1f8b') return 'gzip'
  return head.subarray(0, 4).toString('hex') === '28b52ffd' ? 'zstd' : 'none'
}

function guessed(head: Buffer): UploadFormat {
  const hex = head.subarray(0, 8).toString('hex')
  const known = beginnings.find(([beginning]) => hex.startsWith(beginning))
  if (known !== undefined) return known[1]
  const text = head
    .toString('latin1')
    .replace(/^\xEF\xBB\xBF/, '')
    .trimStart()
  if (text.startsWith('[')) return 'json'
  if (!text.startsWith('{')) return 'csv'
  return /^\{[^\n]*\}\s*\n\s*\{/.test(text) ? 'ndjson' : 'json'
}

async function headOf(path: string): Promise<Buffer> {
  const file = await open(path)
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(HEAD_BYTES), 0, HEAD_BYTES, 0)
    return buffer.subarray(0, bytesRead)
  } finally {
    await file.close()
  }
}
