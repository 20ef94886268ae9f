import { problems } from '../../gateway/problems.ts'
import { BadRow } from './bad-row.ts'

/**
 * Reads a list of rows as JSON, which is held in memory whole.
 *
 * @throws {Problem} 400 no JSON, 413 more than `bytesMax` bytes.
 * @throws {BadRow} for what is no list.
 */
export async function* readJson(
  body: ReadableStream<Uint8Array>,
  bytesMax: number,
): AsyncGenerator<{ value: unknown; bytes: number }> {
  const chunks: Uint8Array[] = []
  let bytes = 0
  for await (const chunk of body) {
    bytes += chunk.byteLength
    if (bytes > bytesMax) {
      throw problems.bodyTooLarge({
        detail: `JSON may have at most ${bytesMax} bytes; NDJSON and CSV may have more.`,
      })
    }
    chunks.push(chunk)
  }
  const value = parsed(Buffer.concat(chunks))
  if (!Array.isArray(value)) throw new BadRow(undefined, 'Send a list of rows.')
  // All of it is in memory already.
  for (const row of value as unknown[]) yield { value: row, bytes: 0 }
}

function parsed(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes))
  } catch (cause) {
    throw problems.malformedBody({ detail: 'The body is not valid JSON.', cause })
  }
}
