import type { Node, Parser } from './parser.ts'

/** Names of parameters, each with its type where it has one; null for one whose value is null, of whatever type. */
export type ParameterTypes = ReadonlyMap<string, string | null | undefined>

/** As DuckDB writes it. Inside of a text that stands in a query its quotes would be escaped. */
const PARAMETER =
  /\{"class":"PARAMETER","type":"VALUE_PARAMETER","alias":("(?:[^"\\]|\\.)*"),"query_location":\d+,"identifier":"(\w+)"\}/g

/**
 * A statement in which parameters have the types that are said of them: alone they have none, and where they stand
 * beside nothing that has one DuckDB does not know what comes out.
 */
export async function withTypes(
  parser: Pick<Parser, 'parse'>,
  serialized: string,
  types: ParameterTypes,
): Promise<string> {
  const casts = new Map<string, Node>()
  for (const [name, type] of types) {
    if (type === undefined) continue
    const sql = type === null ? 'SELECT NULL' : `SELECT CAST($${name} AS ${type})`
    const { statement } = await parser.parse(sql)
    const [item] = (statement['node'] as Node)['select_list'] as Node[]
    casts.set(name, item!)
  }
  if (casts.size === 0) return serialized
  return serialized.replaceAll(PARAMETER, (whole, alias: string, name: string) => {
    const cast = casts.get(name)
    return cast === undefined ? whole : JSON.stringify({ ...cast, alias: JSON.parse(alias) })
  })
}
