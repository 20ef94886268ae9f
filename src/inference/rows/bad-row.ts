/** A row that can't be read, in words for its sender. Rows count from 1, without the header. */
export class BadRow extends Error {
  override name = 'BadRow'
  constructor(row: number | undefined, reason: string) {
    super(row === undefined ? reason : `Row ${row}: ${reason}`)
  }
}

/** The longest row of a table, in bytes: far more than any has. */
export const ROW_BYTES_MAX = 2 ** 20
