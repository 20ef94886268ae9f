import { once } from 'node:events'
import { createReadStream, createWriteStream } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'

import type { DuckDBConnection } from '@duckdb/node-api'

import { Refused } from '../engine/refused.ts'
import { quoted } from '../engine/sql-text.ts'
import type { Readable, ReaderOptions } from './reader.ts'
import { type RejectedRow, tooManyRejected } from './rejected-row.ts'
import { typedRows } from './typed-rows.ts'

const LINE_CHARACTERS_MAX = 16 * 2 ** 20
const TEXT_CHARACTERS_MAX = 200
const FLUSH_CHARACTERS = 2 ** 20

/**
 * An object a line. Each line is parsed before DuckDB reads what is left: it leaves out what it can't parse
 * without a word, and takes `NaN` for a number.
 */
export async function readNdjson(
  connection: DuckDBConnection,
  path: string,
  options: ReaderOptions,
): Promise<Readable> {
  const clean = join(options.directory, 'lines.ndjson')
  const rejected = await copyObjects(path, clean, options.rejectedMax)
  return {
    sql: await typedRows(connection, jsonRows(clean, 'newline_delimited'), options.types),
    rejected: async () => rejected,
  }
}

export const jsonRows = (path: string, format: 'newline_delimited' | 'array') =>
  `read_json(${quoted(path)}, format = '${format}', sample_size = -1, maximum_object_size = ${LINE_CHARACTERS_MAX}, maximum_depth = 8, map_inference_threshold = -1)`

async function copyObjects(
  source: string,
  target: string,
  rejectedMax: number,
): Promise<RejectedRow[]> {
  const rejected: RejectedRow[] = []
  const output = createWriteStream(target)
  let number = 0
  let kept = 0
  let pending = ''
  for await (const read of createInterface({ input: createReadStream(source) })) {
    number += 1
    const line = number === 1 ? read.replace(/^\uFEFF/, '') : read
    if (line.trim() === '') continue
    const reason = faultOf(line)
    if (reason === undefined) {
      kept += 1
      pending += `${line}\n`
      if (pending.length > FLUSH_CHARACTERS) {
        if (!output.write(pending)) await once(output, 'drain')
        pending = ''
      }
    } else {
      rejected.push({ line: number, reason, text: line.slice(0, TEXT_CHARACTERS_MAX) })
      if (rejected.length > rejectedMax) throw tooManyRejected(rejected, rejectedMax)
    }
  }
  output.end(pending)
  await once(output, 'finish')
  if (kept === 0) throw new Refused('There is no row in it.')
  return rejected
}

function faultOf(line: string): string | undefined {
  if (line.length > LINE_CHARACTERS_MAX) return `has more than ${LINE_CHARACTERS_MAX} characters`
  try {
    const value: unknown = JSON.parse(line)
    const isObject = typeof value === 'object' && value !== null && !Array.isArray(value)
    return isObject ? undefined : 'is no JSON object'
  } catch {
    return 'is not valid JSON'
  }
}
