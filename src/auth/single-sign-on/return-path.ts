const PATH_CHARACTERS_MAX = 2048
/** Browsers read a backslash as a slash, and leave out tabs and line ends. */
const STRANGE = /[\\\s\p{C}]/u

/**
 * Where a browser goes after it has signed on: to a path here, and nowhere else, or this server's
 * good name would lead people to any page (RFC 9700 §4.11).
 *
 * @returns the whole address; `undefined` where the path leads elsewhere.
 */
export function returnAddress(path: string, publicUrl: string): URL | undefined {
  const isLocal = path.startsWith('/') && path.length <= PATH_CHARACTERS_MAX && !STRANGE.test(path)
  if (!isLocal || !URL.canParse(path, publicUrl)) return undefined
  const url = new URL(path, publicUrl)
  const leadsHere = url.origin === new URL(publicUrl).origin && !url.pathname.startsWith('//')
  return leadsHere ? url : undefined
}
