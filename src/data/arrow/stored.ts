import { type DuckDBConnection, DuckDBDataChunk } from '@duckdb/node-api'
import { DictionaryBatch } from 'apache-arrow/fb/dictionary-batch'

import { Refused } from '../engine/refused.ts'
import { identifier } from '../engine/sql-text.ts'
import { vectorOf } from '../engine/vectors.ts'
import { type ArrowArray, arraysOf } from './arrays.ts'
import { Budget } from './budget.ts'
import { type ArrowField, fieldsOf } from './fields.ts'
import { fill } from './filling.ts'
import { type Batch, openArrow } from './messages.ts'
import { rowsFrom } from './rows.ts'
import { damaged } from './source.ts'

/** Of a vector of DuckDB. */
const CHUNK_ROWS = 2048

/**
 * Puts the rows of an Arrow file, or of a stream in a file, into a new table.
 *
 * From batch to batch, by the memory of vectors: no value becomes one of ours, and what the table has no memory
 * for is spilled.
 *
 * @param expandedBytesMax that there may be of what is compressed in it.
 * @throws {Refused} for what is damaged, and for what DuckDB has nothing for.
 */
export async function storeArrow(
  connection: DuckDBConnection,
  path: string,
  table: string,
  expandedBytesMax: number,
): Promise<void> {
  const { schema, batches } = openArrow(path)
  const fields = fieldsOf(schema)
  const columns = fields.map(({ name, type }) => `${identifier(name)} ${String(type)}`)
  await connection.run(`CREATE TABLE ${identifier(table)} (${columns.join(', ')})`)
  const appender = await connection.createAppender(table)
  const chunk = DuckDBDataChunk.create(fields.map(({ type }) => type))
  const budget = new Budget(expandedBytesMax)
  const dictionaries = new Map<bigint, ArrowArray>()
  const append = ({ header, body }: Batch) => {
    if (header instanceof DictionaryBatch) {
      const values = dictionaryOf(header, body, fields, dictionaries, budget)
      dictionaries.set(header.id(), values)
      return
    }
    const arrays = arraysOf(header, body, fields, dictionaries, budget)
    const length = Number(header.length())
    if (arrays.some((array) => array.length !== length)) {
      throw damaged('its columns are not of one length')
    }
    for (let from = 0; from < length; from += CHUNK_ROWS) {
      chunk.reset()
      chunk.rowCount = Math.min(CHUNK_ROWS, length - from)
      const rows = rowsFrom(from, chunk.rowCount)
      for (const [at, array] of arrays.entries()) fill(vectorOf(chunk.chunk, at), array, rows)
      appender.appendDataChunk(chunk)
    }
  }
  try {
    for (const batch of batches) {
      append(batch)
      // Whoever gave up is heard.
      await Bun.sleep(0)
    }
    appender.flushSync()
  } finally {
    appender.closeSync()
  }
}

function dictionaryOf(
  header: DictionaryBatch,
  body: Uint8Array,
  fields: readonly ArrowField[],
  dictionaries: ReadonlyMap<bigint, ArrowArray>,
  budget: Budget,
): ArrowArray {
  if (header.isDelta()) {
    throw new Refused('A dictionary of it comes in parts. Write it with whole dictionaries.')
  }
  const field = fieldOfDictionary(fields, header.id())
  const data = header.data()
  if (field === undefined || data === null) throw damaged('no column has a dictionary that it has')
  const [values] = arraysOf(data, body, [{ ...field, dictionary: undefined }], dictionaries, budget)
  return values!
}

function fieldOfDictionary(fields: readonly ArrowField[], id: bigint): ArrowField | undefined {
  for (const field of fields) {
    if (field.dictionary?.id === id) return field
    const inside = fieldOfDictionary(field.children, id)
    if (inside !== undefined) return inside
  }
  return undefined
}
