import { Refused } from '../engine/refused.ts'

/** A row of an upload that is not in the dataset. */
export interface RejectedRow {
  /** Where it begins, from 1. */
  line?: number
  column?: string
  reason: string
  /** How it begins. */
  text?: string
}

export function tooManyRejected(rejected: readonly RejectedRow[], rejectedMax: number): Refused {
  const [first] = rejected
  const where = first?.line === undefined ? '' : `line ${first.line}, `
  const column = first?.column === undefined ? '' : `column ${first.column}, `
  return new Refused(
    `${rejected.length} rows or more can't be taken, and ${rejectedMax} may be left out. The first: ${where}${column}${first?.reason}.`,
  )
}
