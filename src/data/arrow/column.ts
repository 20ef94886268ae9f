import { hasBit, validityOf, type Vector } from '../engine/vectors.ts'

/** Of one column, or of one inside it: what a record batch has of it. */
export interface Part {
  length: number
  nulls: number
  /** Of it alone, in Arrow's order. */
  buffers: Uint8Array[]
  children: Part[]
}

/** The values of a vector that are meant, by where they are, -1 being a null; without it, all. */
export type Rows = Int32Array | undefined

/** Gathers what vectors have of one column, until a batch takes it. */
export interface Column {
  /** @param size how many values the vector has. */
  append(vector: Vector, size: number, rows: Rows): void
  readonly bytes: number
  /** What it returns holds until more is appended. */
  take(): Part
}

/** Those of `rows` that are nulls in the vector become -1. */
export function presentRows(vector: Vector, size: number, rows: Rows): Rows {
  const bits = validityOf(vector, size)
  if (bits === undefined) return rows
  const count = rows?.length ?? size
  const present = new Int32Array(count)
  let nulls = 0
  for (let at = 0; at < count; at += 1) {
    const row = rows === undefined ? at : rows[at]!
    const isPresent = row !== -1 && hasBit(bits, row)
    present[at] = isPresent ? row : -1
    if (!isPresent) nulls += 1
  }
  return nulls === 0 ? rows : present
}
