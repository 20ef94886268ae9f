// Measures and prints; that a bar is missed is no failure, that a server fails is one.
import { mkdtempSync, rmSync } from 'node:fs'
import { availableParallelism, cpus, tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'

import { auth } from './auth.bench.ts'
import { type Comparison, measure } from './compare.ts'
import { drivers } from './drivers.bench.ts'
import { explain } from './explain.bench.ts'
import { gateway } from './gateway.bench.ts'
import { livez } from './livez.bench.ts'
import { login } from './login.bench.ts'
import { pipeline } from './pipeline.bench.ts'
import { predict } from './predict.bench.ts'
import { type Race, race } from './race.ts'
import { report } from './report.ts'

const EXIT_INTERRUPTED = 130
const cases: Record<string, (scratch: string) => Promise<(Comparison | Race)[]>> = {
  gateway: async (scratch) => [await gateway(scratch)],
  auth: async (scratch) => [await auth(scratch)],
  login: async (scratch) => [await login(scratch)],
  predict,
  explain,
  pipeline,
  livez: async (scratch) => [await livez(scratch)],
  drivers,
}
const usage = `Usage: scripts/bench [--rounds N] [--seconds N] [${Object.keys(cases).join('|')} ...]`

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(signal, () => process.exit(EXIT_INTERRUPTED))
}

try {
  const { names, rounds, seconds } = readArguments()
  say(machine())
  for (const name of names) {
    const scratch = mkdtempSync(join(tmpdir(), 'quintet-bench-'))
    process.on('exit', () => rmSync(scratch, { recursive: true, force: true }))
    for (const comparison of await cases[name]!(scratch)) {
      const options = { rounds, seconds, scratch }
      const isRace = !('load' in comparison)
      const measured = await (isRace ? race(comparison, options) : measure(comparison, options))
      if (isRace) await comparison.close?.()
      say(`${report(comparison, measured)}\n\n  (${rounds} rounds of ${seconds} s)`)
    }
  }
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`)
  process.exit(1)
}
// Connections that a case opened would keep it running.
process.exit(0)

function readArguments(): { names: string[]; rounds: number; seconds: number } {
  try {
    const { values, positionals } = parseArgs({
      allowPositionals: true,
      options: {
        rounds: { type: 'string', default: '5' },
        seconds: { type: 'string', default: '4' },
      },
    })
    const names = positionals.length === 0 ? Object.keys(cases) : positionals
    const numbers = { rounds: Number(values.rounds), seconds: Number(values.seconds) }
    const isGood = Object.values(numbers).every((value) => Number.isInteger(value) && value > 0)
    if (isGood && names.every((name) => Object.hasOwn(cases, name))) return { names, ...numbers }
  } catch {
    // An option that there is not.
  }
  throw new Error(usage)
}

function machine(): string {
  const firstLine = (command: string[]) =>
    Bun.spawnSync(command).stdout.toString().split('\n')[0]!.trim()
  const wrk = /wrk (?:debian\/)?([\w.]+)/.exec(firstLine(['wrk', '-v']))?.[1]
  return (
    `${availableParallelism()} cores (${cpus()[0]?.model}), Bun ${Bun.version}, ` +
    `Node ${firstLine(['node', '--version']).slice(1)}, wrk ${wrk}`
  )
}

function say(text: string): void {
  process.stdout.write(`\n${text}\n`)
}
