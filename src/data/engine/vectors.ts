import duckdb, { type Vector } from '@duckdb/node-bindings'

/**
 * The memory of DuckDB's vectors, which its API for JavaScript has a value at a time.
 *
 * @see https://duckdb.org/docs/stable/clients/c/vector
 */
export type { Vector } from '@duckdb/node-bindings'

export const {
  array_vector_get_child: arrayChildOf,
  data_chunk_get_vector: vectorOf,
  list_vector_get_child: listChildOf,
  list_vector_get_size: listSizeOf,
  struct_vector_get_child: structChildOf,
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
