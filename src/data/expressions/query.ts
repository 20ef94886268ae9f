import { nearest } from './functions.ts'
import type { Node, Parser } from './parser.ts'
import { RefusedText } from './refused-text.ts'
import type { ParameterTypes } from './typed-parameters.ts'
import { short, type Walk, walk } from './walk.ts'

/** A SELECT that may be run, once what it reads stands for the names of its datasets. */
export interface AdmittedQuery {
  /** As DuckDB writes it. */
  sql: string
  /** Names of the datasets that it reads. */
  datasets: string[]
}

const TEXT_CHARACTERS_MAX = 65_536
const DEPTH_MAX = 50
const NODES_MAX = 10_000
const SERIES_MAX = 1_000_000
const DATASET = /^[a-z][a-z0-9_-]{0,63}$/

/** Parts of a query, each with what is seen to beside what is in it. */
const PARTS = new Set([
  'SELECT_NODE',
  'SET_OPERATION_NODE',
  'SUBQUERY',
  'JOIN',
  'EXPRESSION_LIST',
  'EMPTY',
  'PIVOT',
  'ORDER_MODIFIER',
  'LIMIT_MODIFIER',
  'LIMIT_PERCENT_MODIFIER',
  'DISTINCT_MODIFIER',
])
/** Made from numbers, which are bounded. */
const SERIES = new Set(['range', 'generate_series'])

/**
 * Reads one SELECT and refuses what is not on the list. A name that is no common table expression where it stands
 * is that of a dataset.
 *
 * @throws {RefusedText} with the place in `text`, from 1.
 */
export async function readQuery(
  parser: Parser,
  text: string,
  { parameters }: { parameters: ParameterTypes },
): Promise<AdmittedQuery> {
  if (text.length > TEXT_CHARACTERS_MAX) {
    throw new RefusedText(`A query may have ${TEXT_CHARACTERS_MAX} characters.`)
  }
  const datasets = new Set<string>()
  /** Names of common table expressions that can be seen from here. */
  const known: string[] = []
  try {
    const parsed = await parser.parse(text)
    walk(parsed.statement['node'], {
      depthMax: DEPTH_MAX,
      nodesMax: NODES_MAX,
      mayAggregate: true,
      mayWindow: true,
      parameters: new Set(parameters.keys()),
      column: () => {},
      other: (node, walking) => ofPart(node, walking, { known, datasets }),
    })
    return { sql: await parser.write(parsed, parameters), datasets: [...datasets] }
  } catch (error) {
    if (!(error instanceof RefusedText)) throw error
    const { message, word } = error
    const found = word === undefined ? -1 : text.indexOf(word)
    const position = found === -1 ? error.position : found
    throw new RefusedText(message, position === undefined ? undefined : position + 1)
  }
}

interface Seen {
  known: string[]
  datasets: Set<string>
}

function ofPart(node: Node, walking: Walk, seen: Seen): boolean {
  const { into, fail } = walking
  if (node['class'] !== undefined) return ofExpression(node, walking)
  const type = node['type']
  if (typeof type !== 'string') return isSample(node)
  if (type === 'BASE_TABLE') {
    ofTable(node, walking, seen)
    return true
  }
  if (type === 'TABLE_FUNCTION') {
    ofTableFunction(node['function'] as Node, walking)
    return true
  }
  if (!PARTS.has(type)) return false
  const outside = seen.known.length
  const { cte_map: expressions, type: _, ...rest } = node
  for (const { key, value } of entriesOf(expressions)) {
    if (value['materialized'] !== undefined) into(value['query'])
    seen.known.push(key.toLowerCase())
  }
  const { using_columns: __, column_name_alias: ___, ...parts } = rest
  if (type === 'PIVOT') ofPivot(parts, walking)
  else into(Object.values(parts))
  seen.known.length = outside
  if (
    type === 'JOIN' &&
    !/^(?:REGULAR|NATURAL|CROSS|POSITIONAL|ASOF)$/.test(String(node['ref_type']))
  ) {
    fail(node, 'There is no such join.')
  }
  return true
}

const entriesOf = (map: unknown) =>
  (map as { map?: { key: string; value: Node }[] } | undefined)?.map ?? []

/** In a query may stand what no expression of a pipeline has. */
function ofExpression(node: Node, { into, fail }: Walk): boolean {
  switch (node['class']) {
    case 'SUBQUERY':
      into([(node['subquery'] as Node)['node'], node['child']])
      return true
    case 'STAR':
      into([node['replace_list'], node['expr']])
      return true
    case 'POSITIONAL_REFERENCE':
      return true
    case 'OPERATOR':
      if (node['type'] !== 'GROUPING_FUNCTION') return false
      into(node['children'])
      return true
    case 'FUNCTION':
      if (node['function_name'] !== 'unnest') return false
      if ((node['schema'] ?? '') !== '' && node['schema'] !== 'main') {
        fail(node, 'There is no such function here.')
      }
      into(node['children'])
      return true
    default:
      return false
  }
}

/** How many rows of a table; nothing in it can be run. */
const isSample = (node: Node) => 'sample_size' in node

function ofTable(node: Node, { fail }: Walk, { known, datasets }: Seen): void {
  const { table_name: given, schema_name: schema, catalog_name: catalog } = node
  const name = String(given).toLowerCase()
  if ((node['at_clause'] ?? null) !== null) {
    fail(node, 'AT may not stand here. A version of a dataset is named in `versions`.')
  }
  if ((schema ?? '') !== '' || (catalog ?? '') !== '') {
    fail(
      node,
      `There is no ${short(`${String(schema || catalog)}.${String(given)}`)}: datasets are in no schema.`,
    )
  }
  if (known.includes(name)) return
  if (!DATASET.test(name)) fail(node, `There is no dataset ${short(given)}.`)
  datasets.add(name)
}

function ofTableFunction(call: Node, { into, fail }: Walk): void {
  const name = String(call['function_name']).toLowerCase()
  const schema = call['schema'] ?? ''
  if ((schema !== '' && schema !== 'main') || !(SERIES.has(name) || name === 'unnest')) {
    const like = nearest(name, [...SERIES, 'unnest'])
    const hint = like === undefined ? '' : ` Is it ${like}?`
    fail(call, `There is no table function ${short(name)} here.${hint}`)
  }
  if (SERIES.has(name)) {
    for (const argument of call['children'] as Node[]) {
      const value = (argument['value'] as Node | undefined)?.['value']
      if (typeof value === 'number' && Math.abs(value) <= SERIES_MAX && Number.isInteger(value))
        continue
      fail(call, `${name} takes whole numbers up to ${SERIES_MAX}.`)
    }
  }
  into(call['children'])
}

/** Its entries are values, and not expressions. */
function ofPivot(parts: Node, { into, fail }: Walk): void {
  const { pivots, source, aggregates, ...rest } = parts
  into([source, aggregates])
  for (const pivot of (pivots ?? []) as Node[]) {
    into(pivot['pivot_expressions'])
    if ((pivot['subquery'] ?? null) !== null) fail(pivot, 'A pivot names its values.')
    for (const entry of (pivot['entries'] ?? []) as Node[]) into(entry['expr'])
  }
  if ((rest['sample'] ?? null) !== null) fail(parts, 'A pivot has no sample.')
}
