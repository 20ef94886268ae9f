import type { Bar, Comparison, Rounds } from './compare.ts'
import type { Race } from './race.ts'

/** A readable table of medians, and each bar with whether it is met. */
export function report({ title, contenders, bars }: Comparison | Race, rounds: Rounds): string {
  const summaries = contenders.map(({ name }) => {
    const figures = rounds.map((round) => round.get(name)!)
    return {
      name,
      speed: median(figures.map(({ requestsPerSecond }) => requestsPerSecond)),
      p99: median(figures.map(({ p99Ms }) => p99Ms)),
      cpu: median(figures.map(({ cpuMicroseconds }) => cpuMicroseconds)),
    }
  })
  const [first] = summaries
  const servers = summaries.map(({ name, speed, p99, cpu }) => [
    name,
    shown(speed, 0),
    shown(speed / first!.speed, 2),
    shown(p99, 1),
    shown(cpu, 1),
  ])
  const claims = bars.map((bar) => [bar.claim, ...verdict(bar, rounds)])
  return [
    title,
    table([['', 'req/s', '× first', 'p99 ms', 'CPU µs/req'], ...servers]),
    table([['', 'median', 'lowest', 'highest', 'bar', ''], ...claims]),
  ].join('\n\n')
}

/** Compared within each round: then a slow spell of the machine falls on both sides. */
function verdict({ unit, limit, read }: Bar, rounds: Rounds): string[] {
  const values = rounds.map((round) => read((name) => round.get(name)!))
  const value = median(values)
  const spread = [
    `${shown(value, 2)} ${unit}`,
    shown(Math.min(...values), 2),
    shown(Math.max(...values), 2),
  ]
  if (limit === undefined) return [...spread, '', '']
  const isMet = 'least' in limit ? value >= limit.least : value <= limit.most
  const bar = 'least' in limit ? `≥ ${limit.least}` : `≤ ${limit.most}`
  const result = isMet ? 'met' : 'missed'
  return [...spread, `${bar} ${unit}`, Number.isNaN(value) ? 'not measured' : result]
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = sorted.length / 2
  return (sorted[Math.ceil(middle) - 1]! + sorted[Math.floor(middle)]!) / 2
}

function shown(value: number, digits: number): string {
  if (Number.isNaN(value)) return '–'
  const options = { minimumFractionDigits: digits, maximumFractionDigits: digits }
  return value.toLocaleString('en', options)
}

/** Text to the left, figures to the right. */
function table(rows: readonly string[][]): string {
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)))
  const cell = (text: string, column: number) =>
    column === 0 ? text.padEnd(widths[column]!) : text.padStart(widths[column]!)
  return rows.map((row) => `  ${row.map(cell).join('  ').trimEnd()}`).join('\n')
}
