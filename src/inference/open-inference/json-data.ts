import { BadTensor, countOf, type Datatype, type Tensor } from './tensor.ts'

interface Range {
  least: number
  most: number
}

/** Beyond 2^53 JSON can't say which number it is. */
const SAFE = Number.MAX_SAFE_INTEGER
/** Of whole numbers; what is left are floats. */
const RANGES: Partial<Record<Datatype, Range>> = {
  UINT8: { least: 0, most: 255 },
  UINT16: { least: 0, most: 65_535 },
  UINT32: { least: 0, most: 4_294_967_295 },
  UINT64: { least: 0, most: SAFE },
  INT8: { least: -128, most: 127 },
  INT16: { least: -32_768, most: 32_767 },
  INT32: { least: -2_147_483_648, most: 2_147_483_647 },
  INT64: { least: -SAFE, most: SAFE },
}

/**
 * Reads the data of a tensor from JSON: flat, or nested as its shape says. What is missing is null, which the
 * protocol is silent about: NaN in floats, and the empty text in `BYTES`.
 *
 * @throws {BadTensor} naming the tensor and what of it does not fit.
 */
export function readJsonData(
  name: string,
  datatype: Datatype,
  shape: number[],
  data: unknown,
): Tensor {
  const count = countOf(name, shape)
  if (!Array.isArray(data)) throw new BadTensor(`The data of "${name}" is no list.`)
  const isNested = shape.length > 1 && Array.isArray(data[0])
  const flat = isNested ? flatten(name, data, shape) : data
  if (flat.length !== count) {
    throw new BadTensor(
      `The tensor "${name}" has ${flat.length} values where its shape [${shape.join(', ')}] has ${count}.`,
    )
  }
  const read = readerOf(datatype)
  const values = flat.map((value: unknown, at) => {
    const known = read(value)
    if (known !== undefined) return known
    throw new BadTensor(`Value ${at} of "${name}" is no ${datatype}.`)
  })
  return { name, datatype, shape, values: values as number[] | string[] }
}

function flatten(name: string, data: unknown[], shape: readonly number[]): unknown[] {
  let level: unknown[] = data
  for (const [depth, size] of shape.entries()) {
    const lists = depth === 0 ? [level] : (level as unknown[][])
    for (const list of lists) {
      if (Array.isArray(list) && list.length === size) continue
      throw new BadTensor(
        `The data of "${name}" is not nested as its shape [${shape.join(', ')}] says.`,
      )
    }
    if (depth > 0) level = level.flat()
  }
  return level
}

/** @returns how to read one value; `undefined` for what is none. */
function readerOf(datatype: Datatype): (value: unknown) => number | string | undefined {
  if (datatype === 'BYTES') {
    return (value) => (typeof value === 'string' || value === null ? (value ?? '') : undefined)
  }
  if (datatype === 'BOOL') {
    return (value) => (typeof value === 'boolean' ? Number(value) : undefined)
  }
  const range = RANGES[datatype]
  if (range !== undefined) {
    return (value) => {
      const isWhole = typeof value === 'number' && Number.isInteger(value)
      return isWhole && value >= range.least && value <= range.most ? value : undefined
    }
  }
  return (value) => {
    if (value === null) return Number.NaN
    return typeof value === 'number' && Number.isFinite(value) ? value : undefined
  }
}

/** The data of a tensor for JSON, flat; what JSON can't say is null. */
export function writeJsonData({ datatype, values }: Tensor): unknown[] {
  if (datatype === 'BYTES') return [...values]
  return Array.from(values as ArrayLike<number>, (value) => (Number.isFinite(value) ? value : null))
}
