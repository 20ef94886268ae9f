/**
 * The one row of an aggregate. Where memory runs out in the native runtime, a result may end before it, without
 * a word.
 *
 * @throws {RangeError} which is told as a lack of memory.
 */
export function owedRow<Row>([row]: readonly Row[]): Row {
  if (row === undefined) throw new RangeError('Out of Memory Error: a result ended early')
  return row
}
