import { type ResultFormat, resultFormats } from './formats.ts'
import type { QueryResult } from './query.ts'
import { answerWithRows } from './rows-answer.ts'

/**
 * The answer to who waits for a result: as JSON what it is beside its rows, else the file itself. It is in memory,
 * which `DATA_RESULT_BYTES_MAX` bounds.
 */
export async function answerWithResult(
  result: QueryResult,
  path: string,
  format: ResultFormat,
  members: Record<string, unknown>,
): Promise<Response> {
  if (format === 'json') return answerWithRows(result, path, members)
  const content = await Bun.file(path).bytes()
  return new Response(content, { headers: { 'content-type': resultFormats[format].mediaType } })
}
