/** A text that is written anew, and still knows where each of its parts stood before. */
export interface EditedText {
  text: string
  /** Where a place in it was, from 0. */
  placeOf(at: number): number
}

/** Replaces parts of a text, each given by where it begins and ends in it, from the first on. */
export function edited(
  original: string,
  edits: readonly { start: number; end: number; by: string }[],
): EditedText {
  let text = ''
  let at = 0
  /** Where pieces begin: in the new text, and in the old one. */
  const pieces: [now: number, before: number][] = []
  for (const { start, end, by } of edits) {
    pieces.push([text.length, at])
    text += original.slice(at, start)
    pieces.push([text.length, start])
    text += by
    at = end
  }
  pieces.push([text.length, at])
  text += original.slice(at)
  return {
    text,
    placeOf(place) {
      const index = pieces.findLastIndex(([now]) => now <= place)
      const [now, before] = pieces[Math.max(0, index)]!
      const next = pieces[index + 1]?.[1] ?? original.length
      return Math.min(before + place - now, next)
    },
  }
}
