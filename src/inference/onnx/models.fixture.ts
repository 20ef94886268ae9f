/** A field of a message: a number, or what has a length. */
export type Field = readonly [field: number, value: number | string | Uint8Array | readonly Field[]]

const text = new TextEncoder()

function varint(value: number | bigint): number[] {
  const bytes: number[] = []
  for (let rest = BigInt.asUintN(64, BigInt(value)); ; rest >>= 7n) {
    if (rest < 0x80n) return [...bytes, Number(rest)]
    bytes.push(Number(rest & 0x7fn) | 0x80)
  }
}

/** A message of Protocol Buffers. */
export function message(...fields: readonly Field[]): Uint8Array {
  return Buffer.concat(
    fields.map(([field, value]) => {
      if (typeof value === 'number')
        return Uint8Array.from([...varint(field * 8), ...varint(value)])
      const content =
        typeof value === 'string'
          ? text.encode(value)
          : value instanceof Uint8Array
            ? value
            : message(...value)
      return Buffer.concat([
        Uint8Array.from([...varint(field * 8 + 2), ...varint(content.length)]),
        content,
      ])
    }),
  )
}

const FLOAT = 1

/** A TensorProto of floats. */
export const tensor = (name: string, sizes: readonly number[], ...data: readonly Field[]) =>
  message(...sizes.map((size): Field => [1, size]), [2, FLOAT], [8, name], ...data)

/** A NodeProto; whatever follows are its attributes and its domain. */
export const node = (operator: string, from: string[], to: string[], ...rest: readonly Field[]) =>
  message(
    ...from.map((name): Field => [1, name]),
    ...to.map((name): Field => [2, name]),
    [4, operator],
    ...rest,
  )

/** A ValueInfoProto of a tensor; a size may have a name, or none. */
export function value(name: string, sizes: readonly (number | string)[], type = FLOAT) {
  const shape = sizes.map((size): Field => [1, [typeof size === 'number' ? [1, size] : [2, size]]])
  const tensorType: Field[] = [
    [1, type],
    [2, shape],
  ]
  return message([1, name], [2, [[1, tensorType]]])
}

const ML: Field[] = [
  [1, 'ai.onnx.ml'],
  [2, 3],
]

/** A ModelProto with this content of its graph. */
export const modelOf = (...graph: readonly Field[]) =>
  message([1, 8], [2, 'a test'], [7, [...graph, [2, 'graph']]], [8, [[2, 18]]], [8, ML])
