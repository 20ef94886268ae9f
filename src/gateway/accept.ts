/**
 * The media type that a caller likes best, of equals the first (RFC 9110, section 12.5.1).
 *
 * @param header `Accept`; without it everything is liked alike.
 * @returns `undefined` where none is acceptable.
 */
export function preferredType<Type extends string>(
  header: string | null,
  types: readonly Type[],
): Type | undefined {
  if (header === null || header.trim() === '') return types[0]
  const ranges = header.split(',').map(rangeOf)
  const qualityOf = (type: Type) => {
    const [main] = type.split('/')
    const matching = [type, `${main}/*`, '*/*'].map((each) =>
      ranges.find(({ range }) => range === each),
    )
    return matching.find((found) => found !== undefined)?.quality ?? 0
  }
  const best = types.reduce((a, b) => (qualityOf(b) > qualityOf(a) ? b : a))
  return qualityOf(best) > 0 ? best : undefined
}

function rangeOf(text: string) {
  const [range = '', ...parameters] = text.split(';').map((part) => part.trim().toLowerCase())
  const quality = parameters.find((each) => each.startsWith('q='))?.slice('q='.length)
  return { range, quality: quality === undefined ? 1 : Number(quality) || 0 }
}
