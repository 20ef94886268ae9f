import type { Column } from '../datasets/column.ts'
import { currentTimes, nearest } from './functions.ts'
import type { Node, Parser } from './parser.ts'
import { asSql } from './r-habits.ts'
import { RefusedText } from './refused-text.ts'
import type { ParameterTypes } from './typed-parameters.ts'
import { short, walk } from './walk.ts'

/** What an expression is for: of a row alone, of many rows, or of a row and those around it. */
export type Use = 'row' | 'aggregate' | 'window'

export interface Scope {
  columns: readonly Pick<Column, 'name'>[]
  /** Those that there are. */
  parameters?: ParameterTypes
  /** By which rows are put together: beside an aggregate they may stand alone. */
  groupBy?: readonly string[]
}

/** An expression that may be run. */
export interface Expression {
  /** As DuckDB writes it. */
  sql: string
  /** Which columns it is made of, as they are called. */
  columns: string[]
}

const TEXT_CHARACTERS_MAX = 4096
const DEPTH_MAX = 50
const NODES_MAX = 2000
const BEFORE = 'SELECT '
const TABLE = 'rows_of_the_expression'

/**
 * Reads an expression of DuckDB, or one with the habits of R, and refuses what is not on the list.
 *
 * @throws {RefusedText} with the place in `text`, from 1.
 */
export async function readExpression(
  parser: Parser,
  text: string,
  use: Use,
  { columns, parameters = new Map(), groupBy = [] }: Scope,
): Promise<Expression> {
  if (text.length > TEXT_CHARACTERS_MAX) {
    throw new RefusedText(`An expression may have ${TEXT_CHARACTERS_MAX} characters.`)
  }
  if (text.trim() === '') throw new RefusedText('It is empty.')
  const names = new Map(columns.map(({ name }) => [name.toLowerCase(), name]))
  const groups = new Set(groupBy.map((name) => name.toLowerCase()))
  const used = new Set<string>()
  let placeOf = (at: number) => at
  try {
    const sql = asSql(text, new Set(names.keys()))
    placeOf = (at) => sql.placeOf(at - BEFORE.length)
    const parsed = await parser.parse(`${BEFORE}${sql.text}\nFROM ${TABLE}`)
    const expression = onlyItem(parsed.statement)
    walk(expression, {
      depthMax: DEPTH_MAX,
      nodesMax: NODES_MAX,
      mayAggregate: use !== 'row',
      mayWindow: use === 'window',
      parameters: new Set(parameters.keys()),
      column([first = ''], node, isInAggregate) {
        const name = names.get(first.toLowerCase())
        if (name === undefined && currentTimes.has(first.toLowerCase())) return
        if (name === undefined) throw unknownColumn(first, node, names, text, placeOf)
        used.add(name)
        if (use === 'aggregate' && !isInAggregate && !groups.has(first.toLowerCase())) {
          const detail = `${short(first)} is of each row: put it into an aggregate, such as max(${short(first)}), or group by it.`
          throw new RefusedText(detail, Number(node['query_location']))
        }
      },
      other: () => false,
    })
    const written = await parser.write(parsed, parameters)
    return { sql: written.slice(BEFORE.length, -` FROM ${TABLE}`.length), columns: [...used] }
  } catch (error) {
    if (!(error instanceof RefusedText)) throw error
    const { word } = error
    const found = word === undefined ? -1 : text.indexOf(word)
    if (found !== -1) throw new RefusedText(error.message, found + 1)
    const { position } = error
    const place = position === undefined ? undefined : placeOf(position)
    // Of what DuckDB misses at the end, the end of what was written is the place.
    const inside = place === undefined ? undefined : Math.max(0, Math.min(place, text.length))
    throw new RefusedText(
      withoutFrame(error.message),
      inside === undefined ? undefined : inside + 1,
    )
  }
}

/** What the frame around the expression holds, and nothing more than that. */
function onlyItem({ node, ...statement }: Node): Node {
  const { type, select_list: items, from_table: table, ...rest } = (node ?? {}) as Node
  const [item, second] = (items ?? []) as Node[]
  const from = (table ?? {}) as Node
  const isFramed =
    type === 'SELECT_NODE' && from['type'] === 'BASE_TABLE' && from['table_name'] === TABLE
  const isPlain =
    isFramed && isEmpty({ ...from, type: '', table_name: '', query_location: 0 }) && isEmpty(rest)
  if (item === undefined || second !== undefined || !isPlain || !isEmptyStatement(statement)) {
    throw new RefusedText('It is not one expression.')
  }
  if ((item['alias'] ?? '') !== '') throw new RefusedText('An expression has no AS.')
  return item
}

const isEmptyStatement = ({ named_param_map: _, ...statement }: Node) => isEmpty(statement)

/** Whether nothing is said: no condition, no order, no further table. */
function isEmpty(node: Node): boolean {
  return Object.values(node).every((value) => {
    if (Array.isArray(value)) return value.length === 0
    if (typeof value === 'object' && value !== null) return isEmpty(value as Node)
    return !value || value === 'STANDARD_HANDLING' || value === 'ORDER_MODIFIER' || isPlace(value)
  })
}

/** One that DuckDB gives to what has none. */
const isPlace = (value: unknown) => typeof value === 'number' && value > 1e18

function unknownColumn(
  name: string,
  node: Node,
  names: ReadonlyMap<string, string>,
  text: string,
  placeOf: (at: number) => number,
): RefusedText {
  const place = Number(node['query_location'])
  if (text[placeOf(place)] === '"') {
    const detail = `There is no column "${short(name)}". A text is written '${short(name)}', in single quotes.`
    return new RefusedText(detail, place)
  }
  const like = nearest(name, names.values())
  const known = [...names.values()].slice(0, 20).join(', ')
  const hint =
    like === undefined ? (known === '' ? '' : ` There are: ${known}.`) : ` Is it ${like}?`
  return new RefusedText(`There is no column ${short(name)}.${hint}`, place)
}

/** The frame is ours. */
const withoutFrame = (message: string) =>
  message
    .replaceAll(TABLE, 'the end')
    .replace('syntax error at or near "FROM"', 'It ends too early.')
