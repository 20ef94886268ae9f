/** What was given, in words for who gave it. */
export function nameOf(value: unknown): string {
  if (value === null || value === undefined) return 'nothing'
  if (typeof value === 'string')
    return JSON.stringify(value.length > 40 ? `${value.slice(0, 40)}…` : value)
  if (Array.isArray(value)) return 'a list'
  if (typeof value === 'object') return 'an object'
  return JSON.stringify(value)
}
