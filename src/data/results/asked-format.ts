import { preferredType } from '../../gateway/accept.ts'
import { dataProblems } from '../problems.ts'
import { type ResultFormat, resultFormatNames, resultFormats } from './formats.ts'

/**
 * The form that a caller wants: the one that is named, else the one that `Accept` likes best.
 *
 * @throws {Problem} 406.
 */
export function askedFormat(named: ResultFormat | undefined, accept: string | null): ResultFormat {
  if (named !== undefined) return named
  const types = resultFormatNames.map((format) => resultFormats[format].mediaType.split(';')[0]!)
  const preferred = preferredType(accept, types)
  if (preferred !== undefined) return resultFormatNames[types.indexOf(preferred)]!
  throw dataProblems.notAcceptable({ detail: `There are: ${types.join(', ')}.` })
}
