import { createReadStream, createWriteStream } from 'node:fs'
import { Transform } from 'node:stream'
import { pipeline } from 'node:stream/promises'

import { Refused } from '../engine/refused.ts'
import type { CsvDialect } from './upload-format.ts'

/** What a text is written in. A BOM says it; else what is no UTF-8 is taken for what Windows writes. */
type Encoding = 'utf-8' | 'utf-16le' | 'utf-16be' | 'windows-1252'

const said: Record<NonNullable<CsvDialect['encoding']>, Encoding> = {
  'utf-8': 'utf-8',
  'latin-1': 'windows-1252',
  'utf-16': 'utf-16le',
}

/**
 * The text as UTF-8 without a BOM: the file itself where it is that, else a copy.
 *
 * @throws {Refused} for what is no text, and beyond `bytesMax` bytes.
 */
export async function asUtf8(
  source: string,
  copy: string,
  options: { encoding: CsvDialect['encoding']; bytesMax: number },
): Promise<string> {
  const head = Buffer.from(await Bun.file(source).slice(0, 4).arrayBuffer())
  const marked = markOf(head)
  const encoding =
    marked?.encoding ?? (options.encoding && said[options.encoding]) ?? (await encodingOf(source))
  if (encoding === 'utf-8' && marked === undefined) return source
  const decoder = new TextDecoder(encoding)
  let bytes = 0
  const transcoding = new Transform({
    transform(chunk: Uint8Array, _, done) {
      const text = decoder.decode(chunk, { stream: true })
      bytes += Buffer.byteLength(text)
      if (bytes <= options.bytesMax) done(null, text)
      else done(new Refused(`As UTF-8 it has more than ${options.bytesMax} bytes.`))
    },
    flush: (done) => done(null, decoder.decode()),
  })
  await pipeline(createReadStream(source), transcoding, createWriteStream(copy))
  return copy
}

function markOf(head: Buffer): { encoding: Encoding } | undefined {
  const hex = head.toString('hex')
  if (hex.startsWith('efbbbf')) return { encoding: 'utf-8' }
  if (hex.startsWith('fffe')) return { encoding: 'utf-16le' }
  return hex.startsWith('feff') ? { encoding: 'utf-16be' } : undefined
}

async function encodingOf(source: string): Promise<Encoding> {
  const decoder = new TextDecoder('utf-8', { fatal: true })
  let isUtf8 = true
  let at = 0
  for await (const chunk of createReadStream(source) as AsyncIterable<Buffer>) {
    const nul = chunk.indexOf(0)
    if (nul !== -1) throw new Refused(`It is no text: byte ${at + nul + 1} is 0.`)
    at += chunk.byteLength
    if (!isUtf8) continue
    try {
      decoder.decode(chunk, { stream: true })
    } catch {
      isUtf8 = false
    }
  }
  return isUtf8 ? 'utf-8' : 'windows-1252'
}
