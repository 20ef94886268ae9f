import { closeSync, openSync } from 'node:fs'

import type { DuckDBConnection } from '@duckdb/node-api'
import { Field, Schema } from 'apache-arrow/schema'

import { StreamWriter } from '../arrow/stream-writer.ts'
import { writtenAs } from '../arrow/written-types.ts'
import { vectorOf } from '../engine/vectors.ts'
import { bound, type Parameters } from './parameters.ts'
import { tooLarge } from './too-large.ts'

/** So many rows, or so many bytes, are a batch: enough that readers have few, little enough to hold. */
const BATCH_ROWS = 2 ** 16
const BATCH_BYTES = 2 ** 23

/**
 * Writes the rows of a query into a file, as a stream of Arrow's IPC format.
 *
 * From chunk to chunk, by the memory of their vectors: no value becomes one of ours.
 *
 * @param order.sql of types that `forArrow` leaves.
 * @returns how many rows.
 * @throws {Refused} for too large a result.
 */
export async function writeArrow(
  connection: DuckDBConnection,
  order: {
    sql: string
    parameters: Parameters
    path: string
    bytesMax: number
  },
): Promise<number> {
  const { sql, parameters, path, bytesMax } = order
  const statement = await connection.prepare(sql)
  const file = openSync(path, 'wx')
  try {
    await bound(connection, statement, parameters)
    const result = await statement.stream()
    const written = result.columnTypes().map(writtenAs)
    const fields = written.map(({ type }, at) => new Field(result.columnName(at), type, true))
    const columns = written.map(({ column }) => column)
    const writer = new StreamWriter(file, new Schema(fields))
    let rows = 0
    let gathered = 0
    const flush = () => {
      if (gathered === 0) return
      const parts = columns.map((column) => column.take())
      writer.batch(gathered, parts)
      gathered = 0
    }
    for (;;) {
      const chunk = await result.fetchChunk()
      if (chunk === null || chunk.rowCount === 0) break
      const { rowCount } = chunk
      for (const [at, column] of columns.entries()) {
        column.append(vectorOf(chunk.chunk, at), rowCount, undefined)
      }
      rows += rowCount
      gathered += rowCount
      const bytes = columns.reduce((sum, column) => sum + column.bytes, 0)
      if (writer.bytes + bytes > bytesMax) throw tooLarge(bytesMax)
      if (gathered >= BATCH_ROWS || bytes >= BATCH_BYTES) flush()
    }
    flush()
    writer.end()
    if (writer.bytes > bytesMax) throw tooLarge(bytesMax)
    return rows
  } finally {
    closeSync(file)
    statement.destroySync()
  }
}
