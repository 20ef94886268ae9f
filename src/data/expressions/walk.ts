import { aggregates, castTypes, nearest, scalars, windows } from './functions.ts'
import type { Node } from './parser.ts'
import { RefusedText } from './refused-text.ts'

/** What may stand in a text, beside what may stand everywhere. */
export interface Rules {
  depthMax: number
  nodesMax: number
  mayAggregate: boolean
  mayWindow: boolean
  /** Names of parameters that there are. */
  parameters: ReadonlySet<string>
  /** @throws {RefusedText} for a column that there is not. */
  column(names: readonly string[], node: Node, isInAggregate: boolean): void
  /** What is no expression: parts of queries. @returns whether it has seen to what is in it. */
  other(node: Node, walk: Walk): boolean
}

/** Looks at what is in a node. */
export interface Walk {
  into(value: unknown): void
  fail(node: Node, detail: string, word?: string): never
}

const OPERATORS = new Set([
  'OPERATOR_COALESCE',
  'OPERATOR_IS_NULL',
  'OPERATOR_IS_NOT_NULL',
  'OPERATOR_NOT',
  'OPERATOR_TRY',
  'OPERATOR_NULLIF',
  'COMPARE_IN',
  'COMPARE_NOT_IN',
  'ARRAY_EXTRACT',
  'ARRAY_SLICE',
  'STRUCT_EXTRACT',
  'ARRAY_CONSTRUCTOR',
])
/** How rows are put in order. */
const ORDERS = /^(?:ORDER_\w+|ASCENDING|DESCENDING)$/
const CLASSES = new Set([
  'BETWEEN',
  'CASE',
  'CAST',
  'COLLATE',
  'COLUMN_REF',
  'COMPARISON',
  'CONJUNCTION',
  'CONSTANT',
  'FUNCTION',
  'LAMBDA',
  'OPERATOR',
  'PARAMETER',
  'WINDOW',
])
const COLLATIONS = new Set(['NOCASE', 'NOACCENT', 'NFC', 'BINARY', 'C', 'POSIX'])
/** Whose last argument is a pattern, which RE2 takes memory for. */
const PATTERN_FUNCTIONS = /^(?:regexp_|string_split_regex|str_split_regex)/
const TAKES_LAMBDA = /^(?:(?:list|array)_(?:transform|apply|filter|reduce)|apply|filter)$/
const PATTERN_CHARACTERS_MAX = 200
/** Lists of lists of lists: each level may multiply what there is. */
const LAMBDAS_MAX = 3
const WORD_CHARACTERS_MAX = 60

/**
 * Goes through everything in a parsed text and refuses what is not on the list: a class of nodes, a function, a
 * type. What DuckDB adds one day is refused until somebody has looked at it.
 *
 * @throws {RefusedText} with the place that DuckDB says, from 0.
 */
export function walk(root: unknown, rules: Rules): void {
  let nodes = 0
  let depth = 0
  let aggregateDepth = 0
  const lambdas: string[][] = []

  const fail: Walk['fail'] = (node, detail, word) => {
    const place = Number(node['query_location'])
    // One that is beyond all texts says that there is none.
    throw new RefusedText(detail, place < 1e9 ? place : undefined, word)
  }

  function into(value: unknown): void {
    if (Array.isArray(value)) for (const each of value) into(each)
    else if (typeof value === 'object' && value !== null) intoNode(value as Node)
  }

  function intoNode(node: Node): void {
    nodes += 1
    if (nodes > rules.nodesMax) {
      fail(node, `It is too long: it has more than ${rules.nodesMax} parts.`)
    }
    if (typeof node['class'] === 'string') return intoExpression(node)
    const isPart = typeof node['type'] === 'string'
    if (isPart) deeper(node)
    ofPart(node)
    if (isPart) depth -= 1
  }

  function deeper(node: Node): void {
    depth += 1
    if (depth > rules.depthMax) fail(node, `It is nested more than ${rules.depthMax} deep.`)
  }

  function ofPart(node: Node): void {
    if (rules.other(node, { into, fail })) return
    if (typeof node['type'] === 'string' && !ORDERS.test(node['type'])) {
      fail(node, `${wordsOf(node['type'])} may not stand here.`)
    }
    into(Object.values(node))
  }

  function intoExpression(node: Node): void {
    deeper(node)
    if (!rules.other(node, { into, fail })) ofClass(node)
    depth -= 1
  }

  function ofClass(node: Node): void {
    const kind = String(node['class'])
    if (!CLASSES.has(kind)) fail(node, `${NAMES[kind] ?? wordsOf(kind)} may not stand here.`)
    switch (kind) {
      case 'COLUMN_REF':
        return ofColumn(node)
      case 'CONSTANT':
        return requireType(node, (node['value'] as Node)['type'] as Node)
      case 'PARAMETER':
        return ofParameter(node)
      case 'CAST':
        requireType(node, node['cast_type'] as Node)
        return into(node['child'])
      case 'OPERATOR':
        if (!OPERATORS.has(String(node['type']))) {
          fail(node, `${wordsOf(node['type'])} may not stand here.`)
        }
        return into(Object.values(node))
      case 'COLLATE':
        if (
          !String(node['collation'])
            .split('.')
            .every((each) => COLLATIONS.has(each.toUpperCase()))
        ) {
          fail(node, `There is no collation ${short(node['collation'])}.`)
        }
        return into(node['child'])
      case 'LAMBDA':
        // Not given to a function it is the arrow that reads JSON.
        return into([node['lhs'], node['expr']])
      case 'FUNCTION':
        return ofFunction(node)
      case 'WINDOW':
        return ofWindow(node)
      default:
        return into(Object.values(node))
    }
  }

  function ofColumn(node: Node): void {
    const names = node['column_names'] as string[]
    if (lambdas.some((parameters) => parameters.includes(names[0]!.toLowerCase()))) return
    rules.column(names, node, aggregateDepth > 0)
  }

  function ofParameter(node: Node): void {
    const name = String(node['identifier'])
    if (rules.parameters.has(name)) return
    const known = [...rules.parameters].map((each) => `$${each}`).join(', ')
    const hint = known === '' ? '' : ` There are: ${known}.`
    fail(node, `There is no parameter $${short(name)}.${hint}`, `$${name}`)
  }

  function ofLambda(node: Node): void {
    if (lambdas.length >= LAMBDAS_MAX) {
      fail(node, `Lambdas may be nested ${LAMBDAS_MAX} deep.`)
    }
    lambdas.push(parametersOf(node['lhs'] as Node))
    into(node['expr'])
    lambdas.pop()
  }

  function requireFunction(node: Node, known: ReadonlySet<string>[]): string {
    const name = String(node['function_name']).toLowerCase()
    const schema = node['schema'] ?? ''
    const isPlain = (schema === '' || schema === 'main') && (node['catalog'] ?? '') === ''
    if (isPlain && known.some((names) => names.has(name))) return name
    const written = isPlain ? name : `${short(schema)}.${name}`
    const like = nearest(
      name,
      known.flatMap((names) => [...names]),
    )
    const hint = like === undefined ? '' : ` Is it ${like}?`
    return fail(node, `There is no function ${short(written)} here.${hint}`)
  }

  function ofFunction(node: Node): void {
    const name = requireFunction(node, [scalars, aggregates])
    const isAggregate = aggregates.has(name)
    if (isAggregate && !rules.mayAggregate) {
      fail(node, `${name} is of many rows. It may stand in the metrics of an aggregate.`)
    }
    if (isAggregate && aggregateDepth > 0) fail(node, `${name} stands in another aggregate.`)
    if (PATTERN_FUNCTIONS.test(name)) requirePattern(node, name)
    if (isAggregate) aggregateDepth += 1
    const { children, ...rest } = node
    for (const child of children as Node[]) {
      if (child['class'] === 'LAMBDA' && TAKES_LAMBDA.test(name)) ofLambda(child)
      else into(child)
    }
    into(Object.values(rest))
    if (isAggregate) aggregateDepth -= 1
  }

  function ofWindow(node: Node): void {
    const name = requireFunction(node, [windows, aggregates])
    if (!rules.mayWindow) fail(node, `${name} OVER may stand in a window alone.`)
    const { class: _, type: __, function_name: ___, ...parts } = node
    into(Object.values(parts))
  }

  function requirePattern(node: Node, name: string): void {
    const [, pattern] = node['children'] as Node[]
    const value = (pattern?.['value'] as Node | undefined)?.['value']
    if (pattern?.['class'] === 'PARAMETER') return
    if (typeof value !== 'string') fail(node, `The pattern of ${name} is to be a text.`)
    if (value.length > PATTERN_CHARACTERS_MAX) {
      fail(node, `A pattern may have ${PATTERN_CHARACTERS_MAX} characters.`)
    }
  }

  function requireType(node: Node, type: Node): void {
    const id = String(type['id'])
    const info = type['type_info'] as Node | null | undefined
    if (id === 'NULL' || id === 'SQLNULL') return
    if (!castTypes.has(id)) {
      fail(node, `There is no type ${short(info?.['name'] ?? id)} here.`)
    }
    if (info?.['child_type'] !== undefined) requireType(node, info['child_type'] as Node)
    for (const child of (info?.['child_types'] as { second: Node }[] | undefined) ?? []) {
      requireType(node, child.second)
    }
  }

  into(root)
}

/** What a lambda calls its arguments: one, or a row of them. */
function parametersOf(lhs: Node): string[] {
  const columns = lhs['class'] === 'COLUMN_REF' ? [lhs] : ((lhs['children'] as Node[]) ?? [])
  return columns.map((column) => String((column['column_names'] as string[])[0]).toLowerCase())
}

const NAMES: Record<string, string> = {
  SUBQUERY: 'A subquery',
  STAR: '*',
  DEFAULT: 'DEFAULT',
  POSITIONAL_REFERENCE: 'A place in the list, such as #1,',
}

/** As DuckDB calls it, in words: `TABLE_FUNCTION` is a table function. */
const wordsOf = (type: unknown) => `A ${String(type).toLowerCase().replaceAll('_', ' ')}`

export const short = (word: unknown) => String(word).slice(0, WORD_CHARACTERS_MAX)
