import type { z } from 'zod'

import type { assignments } from './fields.ts'
import type { Text } from './planning.ts'

/** An expression with the name that its values get; none where that was not said. */
export interface Assignment extends Text {
  name: string | undefined
}

const NAMED = /^\s*(?:"((?:[^"]|"")+)"|`([^`]+)`|([A-Za-z_][\w.]*))\s*=(?!=)\s*/

/** Takes `name = expression` apart. */
export function assignmentsOf(
  given: z.output<typeof assignments>,
  ...path: PropertyKey[]
): Assignment[] {
  if (!Array.isArray(given)) {
    return Object.entries(given).map(([name, text]) => ({ name, text, path: [...path, name] }))
  }
  return given.map((text, at) => {
    const place = given.length === 1 ? path : [...path, at]
    const found = NAMED.exec(text)
    if (found === null) return { name: undefined, text, path: place }
    const [whole, quoted, ticked, plain] = found
    const name = quoted?.replaceAll('""', '"') ?? ticked ?? plain
    return { name, text: text.slice(whole.length), path: place, before: whole.length }
  })
}
