import type { Problem } from '../../gateway/problem.ts'
import { problems } from '../../gateway/problems.ts'
import { EngineFull } from '../engine/engine.ts'
import { WorkFailed } from '../engine/query-process.ts'
import { dataProblems } from '../problems.ts'

/** What a path of ours is called before a caller. */
export type Names = ReadonlyMap<string, string>

const RETRY_AFTER_SECONDS = '5'
/** Whatever else could be one: no message leads to a place on the server. */
const PATH = /(?:\/[\w.@~+-]+){2,}\/?/g
/** How DuckDB begins a message; who reads it knows that it is about a query. */
const KIND = /^(?:Binder|Catalog|Parser|Conversion|Invalid Input|Out of Range|IO|Invalid) Error: /
/** It quotes the statement, which is ours and not the caller's. */
const QUOTATION = /\n+LINE \d+:[\s\S]*$/
const DETAIL_CHARACTERS_MAX = 500

/** The problem that a failure of the engine is for a caller; what is none of theirs is thrown as it is. */
export function problemOf(error: unknown, names: Names = new Map()): unknown {
  if (error instanceof EngineFull) {
    return dataProblems.overloaded({
      detail: error.message,
      headers: { 'retry-after': RETRY_AFTER_SECONDS },
    })
  }
  return error instanceof WorkFailed ? ofWork(error, names) : error
}

function ofWork(cause: WorkFailed, names: Names): Problem | WorkFailed {
  const detail = cleaned(cause.message, names)
  switch (cause.failure) {
    case 'refused':
      return dataProblems.refusedQuery({ detail, cause })
    case 'memory':
      return dataProblems.tooMuch({ detail: `It takes more memory than it may: ${detail}`, cause })
    case 'ended':
      return dataProblems.tooMuch({ detail, cause })
    case 'timeout':
      return dataProblems.queryTimeout({ detail, cause })
    case 'interrupted':
      return problems.unavailable({ detail, cause })
    case 'bug':
      return cause
  }
}

/** Without places on the server, and without statements of ours. */
export function cleaned(message: string, names: Names = new Map()): string {
  let text = message.replace(QUOTATION, '').replace(KIND, '')
  for (const [path, name] of names) text = text.replaceAll(path, name)
  return text.replaceAll(PATH, '…').slice(0, DETAIL_CHARACTERS_MAX)
}
