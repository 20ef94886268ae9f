import { DictionaryBatch } from 'apache-arrow/fb/dictionary-batch'
import { Footer } from 'apache-arrow/fb/footer'
import { MessageHeader } from 'apache-arrow/fb/message-header'
import { RecordBatch } from 'apache-arrow/fb/record-batch'
import { Schema } from 'apache-arrow/fb/schema'
import { ByteBuffer } from 'flatbuffers'

import { Refused } from '../engine/refused.ts'
import { damaged, type Encapsulated, Source } from './source.ts'

/** Rows, or values of a dictionary: what the metadata says of them, and the bytes that they are in. */
export interface Batch {
  header: RecordBatch | DictionaryBatch
  body: Uint8Array
}

export interface ArrowFile {
  schema: Schema
  /** In the order in which they are to be read. */
  batches: Iterable<Batch>
}

const MAGIC = 'ARROW1'
/** The magic again, and before it the length of the footer. */
const TAIL_BYTES = MAGIC.length + 4
/** In a footer. */
const BLOCK_BYTES = 24

/**
 * Opens a file of Arrow's IPC format, or a stream of it that is in a file.
 *
 * @throws {Refused} for what is neither, or damaged; so do `batches`.
 * @see https://arrow.apache.org/docs/format/Columnar.html#serialization-and-interprocess-communication-ipc
 */
export function openArrow(path: string): ArrowFile {
  const source = new Source(path)
  return hasMagic(source, 0) ? asFile(source) : asStream(source)
}

function asStream(source: Source): ArrowFile {
  const first = firstOf(source)
  const schema = first.message.header(new Schema()) as Schema | null
  if (schema === null) throw damaged('it has no schema')
  return { schema, batches: following(source, first.bodyAt) }
}

/** What is no Arrow at all has most likely no message at its beginning. */
function firstOf(source: Source): Encapsulated {
  let first: Encapsulated | undefined
  try {
    first = source.message(0)
  } catch {
    throw noArrow()
  }
  if (first?.message.headerType() !== MessageHeader.Schema) throw noArrow()
  return first
}

const noArrow = () =>
  new Refused('This is no Arrow file, nor a stream of Arrow: it begins as neither of them does.')

function* following(source: Source, from: number): Generator<Batch> {
  let at = from
  for (;;) {
    const next = source.message(at)
    if (next === undefined) break
    yield batchOf(source, next)
    at = next.bodyAt + Number(next.message.bodyLength())
  }
  // Of the marker of the end.
  const end = Math.min(at + 8, source.size)
  if (end < source.size) throw new Refused('The Arrow stream is followed by something else.')
}

function asFile(source: Source): ArrowFile {
  const tailAt = source.size - TAIL_BYTES
  if (tailAt < 0 || !hasMagic(source, tailAt + 4)) throw damaged('it ends too early')
  const length = source.number(tailAt)
  const footer = Footer.getRootAsFooter(new ByteBuffer(source.read(tailAt - length, length)))
  const schema = footer.schema()
  const blocksMax = length / BLOCK_BYTES
  if (schema === null) throw damaged('it has no schema')
  if (footer.dictionariesLength() + footer.recordBatchesLength() > blocksMax) {
    throw damaged('its footer says what is not there')
  }
  return { schema, batches: listed(source, footer) }
}

function* listed(source: Source, footer: Footer): Generator<Batch> {
  for (let at = 0; at < footer.dictionariesLength(); at += 1) {
    yield batchAt(source, Number(footer.dictionaries(at)!.offset()))
  }
  for (let at = 0; at < footer.recordBatchesLength(); at += 1) {
    yield batchAt(source, Number(footer.recordBatches(at)!.offset()))
  }
}

function batchAt(source: Source, at: number): Batch {
  const found = source.message(at)
  if (found === undefined) throw damaged('its footer says what is not there')
  return batchOf(source, found)
}

function batchOf(source: Source, { message, bodyAt }: Encapsulated): Batch {
  const isDictionary = message.headerType() === MessageHeader.DictionaryBatch
  if (!isDictionary && message.headerType() !== MessageHeader.RecordBatch) {
    throw damaged('it has a message of another kind')
  }
  const empty = isDictionary ? new DictionaryBatch() : new RecordBatch()
  const header = message.header(empty) as Batch['header'] | null
  if (header === null) throw damaged('a message says nothing')
  return { header, body: source.read(bodyAt, Number(message.bodyLength())) }
}

function hasMagic(source: Source, at: number): boolean {
  if (at + MAGIC.length > source.size) return false
  return Buffer.from(source.read(at, MAGIC.length)).toString('latin1') === MAGIC
}
