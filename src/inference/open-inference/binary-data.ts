import { BadTensor, countOf, DATATYPE_BYTES, type Datatype, type Tensor } from './tensor.ts'

const utf8 = new TextDecoder('utf-8', { fatal: true })
const LENGTH_BYTES = 4

/**
 * Reads the data of a tensor from the bytes behind the JSON of a request (the binary tensor data
 * extension): little-endian, packed; text with its length before it.
 *
 * @throws {BadTensor} naming the tensor and what of it does not fit.
 */
export function readBinaryData(
  name: string,
  datatype: Datatype,
  shape: number[],
  bytes: Uint8Array,
): Tensor {
  const count = countOf(name, shape)
  if (datatype === 'BYTES') return { name, datatype, shape, values: readTexts(name, count, bytes) }
  const size = DATATYPE_BYTES[datatype]
  if (bytes.byteLength !== count * size) {
    throw new BadTensor(
      `The tensor "${name}" has ${bytes.byteLength} bytes where ${count} of ${datatype} have ${count * size}.`,
    )
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const read = readers[datatype]
  const values = new Float64Array(count)
  for (let at = 0; at < count; at++) values[at] = read(view, at * size)
  return { name, datatype, shape, values }
}

function readTexts(name: string, count: number, bytes: Uint8Array): string[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const texts: string[] = []
  let at = 0
  while (at + LENGTH_BYTES <= bytes.byteLength && texts.length < count) {
    const length = view.getUint32(at, true)
    const from = at + LENGTH_BYTES
    if (length > bytes.byteLength - from) break
    try {
      texts.push(utf8.decode(bytes.subarray(from, from + length)))
    } catch {
      throw new BadTensor(`Value ${texts.length} of "${name}" is no UTF-8.`)
    }
    at = from + length
  }
  if (texts.length === count && at === bytes.byteLength) return texts
  throw new BadTensor(`The bytes of "${name}" are not ${count} texts, each behind its length.`)
}

type Numeric = Exclude<Datatype, 'BYTES'>

const readers: Record<Numeric, (view: DataView, at: number) => number> = {
  BOOL: (view, at) => Number(view.getUint8(at) !== 0),
  UINT8: (view, at) => view.getUint8(at),
  UINT16: (view, at) => view.getUint16(at, true),
  UINT32: (view, at) => view.getUint32(at, true),
  UINT64: (view, at) => Number(view.getBigUint64(at, true)),
  INT8: (view, at) => view.getInt8(at),
  INT16: (view, at) => view.getInt16(at, true),
  INT32: (view, at) => view.getInt32(at, true),
  INT64: (view, at) => Number(view.getBigInt64(at, true)),
  FP16: (view, at) => view.getFloat16(at, true),
  FP32: (view, at) => view.getFloat32(at, true),
  FP64: (view, at) => view.getFloat64(at, true),
}

/** The bytes of an answer: of texts, or of doubles, which is what models answer. */
export function writeBinaryData({ datatype, values }: Tensor): Uint8Array {
  if (datatype === 'BYTES') {
    const parts = (values as readonly string[]).flatMap((text) => {
      const content = Buffer.from(text)
      const length = Buffer.alloc(LENGTH_BYTES)
      length.writeUInt32LE(content.byteLength)
      return [length, content]
    })
    return Buffer.concat(parts)
  }
  const bytes = new Uint8Array(values.length * Float64Array.BYTES_PER_ELEMENT)
  const view = new DataView(bytes.buffer)
  for (const [at, value] of (values as readonly number[]).entries()) {
    view.setFloat64(at * Float64Array.BYTES_PER_ELEMENT, value, true)
  }
  return bytes
}
