import { Refused } from '../engine/refused.ts'

export const tooLarge = (bytesMax: number) =>
  new Refused(
    `The result has more than ${bytesMax} bytes. Ask for fewer rows, or for less of them.`,
  )
