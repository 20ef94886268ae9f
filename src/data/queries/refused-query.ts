import { RefusedText } from '../expressions/refused-text.ts'
import { dataProblems } from '../problems.ts'

/** The problem that a refusal of a text is, at its place in a body. Anything else is thrown as it is. */
export function refusedQuery(error: unknown, pointer: string): unknown {
  if (!(error instanceof RefusedText)) return error
  const { message, position } = error
  const place = position === undefined ? {} : { position }
  return dataProblems.refusedQuery({
    detail: `${pointer}: ${message}`,
    members: { errors: [{ pointer, detail: message, ...place }] },
  })
}
