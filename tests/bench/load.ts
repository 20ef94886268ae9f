import { join } from 'node:path'

import { spawn } from './child.ts'

export const CONNECTIONS = 64

const SCRIPT = join(import.meta.dir, 'load.lua')
const GRACE_MS = 10_000

/** What is sent, again and again. */
export interface Load {
  path: string
  headers: Record<string, string>
  /** A file with a JSON body a line, posted in turn; without one it is a GET. */
  bodies?: string
}

export interface Outcome {
  requests: number
  seconds: number
  p99Ms: number
  /** Answers above 399. */
  refused: number
  socketErrors: number
}

/** Loads a server by wrk: one thread, which leaves a core to the server. */
export async function run(load: Load, baseUrl: string, seconds: number): Promise<Outcome> {
  const headers = Object.entries(load.headers).flatMap(([name, value]) => [
    '-H',
    `${name}: ${value}`,
  ])
  const bodies = load.bodies === undefined ? [] : ['--', load.bodies]
  const options = ['-t1', `-c${CONNECTIONS}`, `-d${seconds}s`, '-s', SCRIPT, ...headers]
  const wrk = spawn(['wrk', ...options, `${baseUrl}${load.path}`, ...bodies], {
    output: 'pipe',
    timeoutMs: seconds * 1000 + GRACE_MS,
  })
  const text = await new Response(wrk.stdout).text()
  const report = text.split('\n').find((line) => line.startsWith('{'))
  if (report === undefined) throw new Error(`wrk failed:\n${text}`)
  return JSON.parse(report) as Outcome
}
