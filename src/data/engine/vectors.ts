import duckdb, { type Vector } from '@duckdb/node-bindings'

/**
 * The memory of DuckDB's vectors, which its API for JavaScript has a value at a time.
 *
 * @see https://duckdb.org/docs/stable/clients/c/vector
 */
export type { Vector } from '@duckdb/node-bindings'

export const {
  array_vector_get_child: arrayChildOf,
  copy_data_to_vector: copyToVector,
  data_chunk_get_vector: vectorOf,
  list_vector_get_child: listChildOf,
  list_vector_get_size: listSizeOf,
  struct_vector_get_child: structChildOf,
  vector_assign_string_element_len: setText,
  vector_get_data: dataOf,
} = duckdb

/** A bit each, set where there is a value; nothing where there is one everywhere. */
export function validityOf(vector: Vector, size: number): Uint8Array | undefined {
  return duckdb.vector_get_validity(vector, Math.ceil(size / 64) * 8) ?? undefined
}

export const hasBit = (bits: Uint8Array, at: number) => ((bits[at >> 3]! >> (at & 7)) & 1) === 1

/** The bytes that an address, which is itself among bytes of a vector, leads to. */
export const pointedToFrom = ({ buffer, byteOffset }: Uint8Array, at: number, count: number) =>
  duckdb.get_data_from_pointer(buffer as ArrayBuffer, byteOffset + at, count)

/** What a decimal is in: the least that hold so many digits. */
export function decimalBytes(digits: number): number {
  if (digits <= 4) return 2
  if (digits <= 9) return 4
  return digits <= 18 ? 8 : 16
}

/** Makes nulls of the values that are -1. */
export function fillNulls(vector: Vector, values: Int32Array): void {
  if (!values.includes(-1)) return
  const bits = new Uint8Array(Math.ceil(values.length / 64) * 8).fill(0xff)
  for (let at = 0; at < values.length; at += 1) {
    if (values[at] === -1) bits[at >> 3]! &= ~(1 << (at & 7))
  }
  duckdb.vector_ensure_validity_writable(vector)
  duckdb.copy_data_to_vector_validity(vector, 0, bits.buffer, 0, bits.length)
}

/** Makes room for so many items in all lists of a vector. */
export function resizeList(vector: Vector, items: number): void {
  duckdb.list_vector_reserve(vector, items)
  duckdb.list_vector_set_size(vector, items)
}
