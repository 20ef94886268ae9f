import { z } from 'zod'

import { datasetName } from '../../datasets/dataset-name.ts'
import { identifier } from '../../engine/sql-text.ts'
import { isSame, type PlannedColumn, sourcesOf, withName } from '../column-lineage.ts'
import { columnName, columnNames } from '../fields.ts'
import { defineOperation } from '../operation.ts'
import type { Planning } from '../planning.ts'

const hows = ['left', 'inner', 'right', 'full', 'semi', 'anti', 'cross', 'asof'] as const

const schema = z
  .strictObject({
    type: z.literal('join'),
    dataset: datasetName.optional(),
    /** The same by the name that the contract has for it. */
    join_path: datasetName.optional(),
    how: z.enum(hows).default('left'),
    /** Columns of one name, or of the rows and of the dataset. */
    keys: z.union([columnNames, z.record(columnName, columnName)]).optional(),
    /** Of `asof`: the nearest row of the dataset that is not later, or not earlier. */
    nearest: z
      .strictObject({
        column: columnName,
        of: columnName.optional(),
        direction: z.enum(['backward', 'forward']).default('backward'),
      })
      .optional(),
    /** Behind names that both have. */
    suffix: z.string().min(1).max(50).default('_right'),
  })
  .refine(
    (step) => (step.dataset === undefined) !== (step.join_path === undefined),
    'expected dataset, or join_path',
  )
  .refine(
    ({ how, keys }) => (how === 'cross') === (keys === undefined) || how === 'asof',
    'expected keys, but for a cross join',
  )
  .refine(
    ({ how, nearest }) => (how === 'asof') === (nearest !== undefined),
    'expected nearest for an as-of join, and for no other',
  )

type Step = z.output<typeof schema>

/** Columns of a dataset beside the rows, where keys are equal. */
export const join = defineOperation({
  schema,
  async plan(step, planning) {
    const { how, suffix } = step
    const name = (step.dataset ?? step.join_path)!
    const others = await planning.dataset(name)
    const pairs = pairsOf(step, others, planning)
    const conditions = pairs.map(
      ({ left, right, sign }) => `l.${identifier(left.name)} ${sign} r.${identifier(right.name)}`,
    )
    const on = conditions.length === 0 ? '' : ` ON ${conditions.join(' AND ')}`
    const from = (input: string) => `FROM ${input} AS l ${JOINS[how]} ${identifier(name)} AS r${on}`
    if (how === 'semi' || how === 'anti') {
      return { sql: (input) => `SELECT l.* ${from(input)}`, columns: planning.columns }
    }
    const equal = pairs.filter(({ sign }) => sign === '=')
    const keys = new Set(equal.map(({ right }) => right))
    const added = others
      .filter((each) => !keys.has(each))
      .map((each) => ({ each, name: freeName(each.name, suffix, planning.columns) }))
    const names = new Set(added.map((column) => column.name.toLowerCase()))
    if (names.size < added.length || added.some((each) => withName(planning.columns, each.name))) {
      planning.refuse('Two columns would have one name: say another suffix.', 'suffix')
    }
    // Of rows that the dataset alone has, the keys are its own.
    const isOuter = how === 'right' || how === 'full'
    const merged = equal.map(
      ({ left: { name: l }, right: { name: r } }) =>
        `coalesce(l.${identifier(l)}, r.${identifier(r)}) AS ${identifier(l)}`,
    )
    const star = isOuter ? `l.* REPLACE (${merged.join(', ')})` : 'l.*'
    const list = added.map(
      (column) => `r.${identifier(column.each.name)} AS ${identifier(column.name)}`,
    )
    return {
      sql: (input) => `SELECT ${[star, ...list].join(', ')} ${from(input)}`,
      columns: [
        ...planning.columns.map((column) => withKey(column, isOuter ? equal : [])),
        ...added.map((column) => ({ ...column.each, name: column.name })),
      ],
    }
  },
})

const JOINS: Record<Step['how'], string> = {
  left: 'LEFT JOIN',
  inner: 'JOIN',
  right: 'RIGHT JOIN',
  full: 'FULL JOIN',
  semi: 'SEMI JOIN',
  anti: 'ANTI JOIN',
  cross: 'CROSS JOIN',
  asof: 'ASOF LEFT JOIN',
}

interface Pair {
  left: PlannedColumn
  right: PlannedColumn
  sign: '=' | '>=' | '<='
}

function pairsOf({ keys = [], nearest }: Step, others: PlannedColumn[], planning: Planning) {
  const named = Array.isArray(keys)
    ? keys.map((key, at) => ({ from: key, to: key, at: at as PropertyKey }))
    : Object.entries(keys).map(([from, to]) => ({ from, to, at: from as PropertyKey }))
  const pairs = named.map(({ from, to, at }): Pair => {
    const left = planning.column(from, 'keys', at)
    const right = withName(others, to) ?? unknown(to, others, planning, 'keys', at)
    return { left, right, sign: '=' }
  })
  if (nearest === undefined) return pairs
  const { column, of = column, direction } = nearest
  const left = planning.column(column, 'nearest', 'column')
  const right = withName(others, of) ?? unknown(of, others, planning, 'nearest', 'of')
  return [...pairs, { left, right, sign: direction === 'backward' ? '>=' : '<=' } satisfies Pair]
}

function unknown(
  name: string,
  others: readonly PlannedColumn[],
  { refuse }: Planning,
  ...path: PropertyKey[]
): never {
  const known = others.slice(0, 20).map((each) => each.name)
  return refuse(
    `The dataset has no column ${name.slice(0, 64)}. There are: ${known.join(', ')}.`,
    ...path,
  )
}

const freeName = (name: string, suffix: string, taken: readonly PlannedColumn[]) =>
  taken.some((each) => isSame(each.name, name)) ? `${name}${suffix}` : name

function withKey(column: PlannedColumn, pairs: readonly Pair[]): PlannedColumn {
  const pair = pairs.find(({ left }) => left === column)
  return pair === undefined ? column : { ...column, sources: sourcesOf([column, pair.right]) }
}
