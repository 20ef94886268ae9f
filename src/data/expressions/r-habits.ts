import { type EditedText, edited } from './edited-text.ts'
import { RefusedText } from './refused-text.ts'

interface Token {
  kind: 'word' | 'string' | 'name' | 'number' | 'sign'
  text: string
  start: number
  end: number
}

const TOKENS =
  /(?<string>'(?:[^']|'')*'?)|(?<name>"(?:[^"]|"")*"?)|(?<comment>--[^\n]*|\/\*[\s\S]*?(?:\*\/|$))|(?<number>\d[\w.]*)|(?<word>[A-Za-z_](?:[\w]|\.(?=[A-Za-z_]))*)|(?<sign>%in%|%\/%|%%|%>%|%\w*%|\|>|<-|&&|\|\||==|!=|!~~\*?|!|&|\||\$(?=\w)|::|[^\s\w])/g

/** What a function of R is called here. */
const FUNCTIONS: Record<string, string> = {
  ifelse: 'if',
  if_else: 'if',
  mean: 'avg',
  sd: 'stddev_samp',
  var: 'var_samp',
  nchar: 'length',
  toupper: 'upper',
  tolower: 'lower',
  paste0: 'concat',
  trimws: 'trim',
  pmin: 'least',
  pmax: 'greatest',
  startsWith: 'starts_with',
  endsWith: 'ends_with',
}
/** Around what they are given. */
const AROUND: Record<string, [before: string, behind: string]> = {
  'is.na': ['((', ') IS NULL)'],
  'is.null': ['((', ') IS NULL)'],
  'as.numeric': ['TRY_CAST(', ' AS DOUBLE)'],
  'as.double': ['TRY_CAST(', ' AS DOUBLE)'],
  'as.integer': ['TRY_CAST(', ' AS INTEGER)'],
  'as.character': ['CAST(', ' AS VARCHAR)'],
  'as.logical': ['TRY_CAST(', ' AS BOOLEAN)'],
  'as.Date': ['CAST(', ' AS DATE)'],
  n_distinct: ['count(DISTINCT ', ')'],
}
const SIGNS: Record<string, string> = {
  '&': 'AND',
  '&&': 'AND',
  '|': 'OR',
  '!': 'NOT',
  '%in%': 'IN',
}
/** Habits that have another way here. */
const REFUSED: Record<string, string> = {
  '%>%': 'Write f(x) and not x %>% f().',
  '|>': 'Write f(x) and not x |> f().',
  ';': 'An expression has no ;.',
  // With the sign of the divisor there, and of what is divided here.
  '%%': 'Write ((a % b) + b) % b for R’s a %% b, or a % b where neither is negative.',
  '%/%': 'Write floor(a / b) for a %/% b.',
  '<-': 'Write name = expression, with = and not <-.',
  function: 'There are no functions of your own: write the expression where it is used.',
  lm: 'Models are fitted elsewhere and uploaded.',
}

/**
 * Writes what R does otherwise as SQL does: `==`, `&`, `|`, `!`, `%in%`, `is.na()`, `ifelse()` and their like.
 * Columns that are called so keep their names.
 *
 * @throws {RefusedText} for what has another way here, which it names.
 */
export function asSql(original: string, columns: ReadonlySet<string>): EditedText {
  const tokens = tokensOf(original)
  const edits: { start: number; end: number; by: string }[] = []
  for (const [at, token] of tokens.entries()) {
    const refused = Object.hasOwn(REFUSED, token.text) ? REFUSED[token.text] : undefined
    const isCall = tokens[at + 1]?.text === '('
    if (refused !== undefined && (token.kind === 'sign' || isCall)) {
      throw new RefusedText(refused, token.start)
    }
    edits.push(...editsOf(tokens, at, columns))
  }
  return edited(
    original,
    edits.toSorted((a, b) => a.start - b.start || a.end - b.end),
  )
}

function editsOf(tokens: readonly Token[], at: number, columns: ReadonlySet<string>) {
  const token = tokens[at]!
  const { kind, text, start, end } = token
  const next = tokens[at + 1]
  if (kind === 'sign') {
    const by = Object.hasOwn(SIGNS, text) ? SIGNS[text] : undefined
    return by === undefined ? [] : [{ start, end, by: ` ${by} ` }]
  }
  if (kind !== 'word') return []
  if (next?.text !== '(') {
    const isMissing = /^NA(?:_\w+_)?$/.test(text) && !columns.has(text.toLowerCase())
    return isMissing ? [{ start, end, by: 'NULL' }] : []
  }
  if (text === 'n' && tokens[at + 2]?.text === ')') {
    return [{ start, end: tokens[at + 2]!.end, by: 'count(*)' }]
  }
  // Of `x %in% c(1, 2)` the brackets alone, and a list elsewhere.
  if (text === 'c') {
    const isBehindIn = /^(?:%in%|in)$/i.test(tokens[at - 1]?.text ?? '')
    return [{ start, end, by: isBehindIn ? '' : 'list_value' }]
  }
  if (Object.hasOwn(FUNCTIONS, text)) return [{ start, end, by: FUNCTIONS[text]! }]
  const around = Object.hasOwn(AROUND, text) ? AROUND[text] : undefined
  const closing = around && closingOf(tokens, at + 1)
  if (around === undefined || closing === undefined) return []
  const [before, behind] = around
  return [
    { start, end: next.end, by: before },
    { start: closing.start, end: closing.end, by: behind },
  ]
}

function closingOf(tokens: readonly Token[], opening: number): Token | undefined {
  let depth = 0
  for (let at = opening; at < tokens.length; at += 1) {
    if (tokens[at]!.text === '(') depth += 1
    if (tokens[at]!.text === ')') depth -= 1
    if (depth === 0) return tokens[at]
  }
  return undefined
}

function tokensOf(text: string): Token[] {
  return [...text.matchAll(TOKENS)].flatMap((match) => {
    const [kind] = Object.entries(match.groups!).find(([, found]) => found !== undefined)!
    if (kind === 'comment') return []
    const start = match.index
    return [{ kind: kind as Token['kind'], text: match[0], start, end: start + match[0].length }]
  })
}
