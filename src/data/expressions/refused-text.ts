/** An expression or a query that is not admitted, in words for who wrote it. */
export class RefusedText extends Error {
  override name = 'RefusedText'
  /** Where, in characters of what was written, from 1. */
  readonly position: number | undefined
  /** What to look for where nobody knows the place. */
  readonly word: string | undefined

  constructor(detail: string, position?: number, word?: string) {
    super(detail)
    this.position = position
    this.word = word
  }
}
