import { identifier } from '../engine/sql-text.ts'
import type { Use } from '../expressions/expression.ts'
import type { Assignment } from './assignment.ts'
import { isSame, type PlannedColumn, withName } from './column-lineage.ts'
import type { Planned } from './operation.ts'
import type { Planning } from './planning.ts'

/** Columns that are computed in one SELECT: none of them reads another. */
interface Level {
  replaced: Map<string, string>
  added: Map<string, string>
}

/**
 * Columns made of others. Each sees those before it, as in dplyr: where it does, it is of a SELECT around theirs.
 */
export async function derive(
  assignments: readonly Assignment[],
  use: Use,
  planning: Planning,
): Promise<Planned> {
  const levels: Level[] = [{ replaced: new Map(), added: new Map() }]
  const columns = [...planning.columns]
  for (const assignment of assignments) {
    const given = assignment.name
    if (given === undefined) {
      planning.refuse('Write name = expression.', ...assignment.path)
    }
    const { sql, reads, sources } = await planning.expression(assignment, use, { columns })
    let level = levels.at(-1)!
    const isNew = (name: string) =>
      [...level.replaced.keys(), ...level.added.keys()].some((each) => isSame(each, name))
    if (isNew(given) || reads.some(isNew)) {
      level = { replaced: new Map(), added: new Map() }
      levels.push(level)
    }
    const known = withName(columns, given)
    const name = known?.name ?? given
    const derived: PlannedColumn = { name, sources }
    const target = known === undefined ? level.added : level.replaced
    target.set(name, sql)
    if (known === undefined) columns.push(derived)
    else columns[columns.indexOf(known)] = derived
  }
  return { sql: (input) => levels.reduce(around, input), columns }
}

/** @param inner a name, or a SELECT for the first level around it. */
function around(inner: string, { replaced, added }: Level, at: number): string {
  const list = (expressions: ReadonlyMap<string, string>) =>
    [...expressions].map(([name, sql]) => `${sql} AS ${identifier(name)}`).join(', ')
  const star = replaced.size === 0 ? '*' : `* REPLACE (${list(replaced)})`
  const from = at === 0 ? inner : `(${inner})`
  return `SELECT ${[star, list(added)].filter((part) => part !== '').join(', ')} FROM ${from}`
}
