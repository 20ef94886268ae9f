import { join } from 'node:path'

import { type Server, startServer } from './child.ts'
import { type Load, run } from './load.ts'

/** Servers that are given the same load, and what is expected of them. */
export interface Comparison {
  title: string
  load: Load
  /** A request whose answer shows that a server does what it is measured at. */
  probe: { body?: unknown; isRight: (answer: unknown, contender: string) => boolean }
  contenders: Contender[]
  bars: Bar[]
}

interface Contender {
  name: string
  command: string[]
  env: Record<string, string>
  /** What else goes on there while it is measured. @returns how to end it. */
  beside?: (baseUrl: string) => () => Promise<void>
}

/** What a server did in one round. */
export interface Figures {
  requestsPerSecond: number
  p99Ms: number
  cpuMicroseconds: number
}

/** A claim about one round, from what every server did in it. */
export interface Bar {
  claim: string
  unit: string
  /** None where it is only printed. */
  limit?: { least: number } | { most: number }
  read: (of: (contender: string) => Figures) => number
}

/** By round, what each contender did. */
export type Rounds = Map<string, Figures>[]

const WARM_UP_SECONDS = 3

/**
 * Measures the contenders in turn, round after round (A B C, A B C, …), so that a disturbance of
 * the machine hits all of them alike.
 *
 * @throws {Error} when a server does not answer, or gives a wrong answer.
 */
export async function measure(
  { load, probe, contenders }: Comparison,
  options: { rounds: number; seconds: number; scratch: string },
): Promise<Rounds> {
  const { rounds, seconds, scratch } = options
  const servers = new Map<string, Server>()
  try {
    for (const [index, contender] of contenders.entries()) {
      const { name, command, env } = contender
      const server = await startServer({ command, env, output: join(scratch, `${index}.log`) })
      servers.set(name, server)
      await check(name, server.url)
      await measureOne(contender, server, WARM_UP_SECONDS)
    }
    const measured: Rounds = []
    for (let round = 0; round < rounds; round++) {
      const figures = new Map<string, Figures>()
      for (const contender of contenders) {
        const server = servers.get(contender.name)!
        figures.set(contender.name, await measureOne(contender, server, seconds))
      }
      measured.push(figures)
    }
    return measured
  } finally {
    await Promise.all([...servers.values()].map((server) => server.stop()))
  }

  async function check(name: string, baseUrl: string): Promise<void> {
    const response = await fetch(`${baseUrl}${load.path}`, {
      headers: load.headers,
      ...(probe.body === undefined ? {} : { method: 'POST', body: JSON.stringify(probe.body) }),
    })
    const text = await response.text()
    const isRight = response.status === 200 && probe.isRight(JSON.parse(text), name)
    if (!isRight) throw new Error(`${name} answers ${response.status} ${text.slice(0, 500)}`)
  }

  async function measureOne(
    { name, beside }: Contender,
    server: Server,
    seconds: number,
  ): Promise<Figures> {
    const end = beside?.(server.url)
    const cpuBefore = server.cpuSeconds()
    const outcome = await run(load, server.url, seconds)
    const cpuSeconds = server.cpuSeconds() - cpuBefore
    await end?.()
    if (outcome.refused + outcome.socketErrors > 0 || outcome.requests === 0) {
      const { requests, refused, socketErrors } = outcome
      throw new Error(
        `${name}: of ${requests} requests ${refused} were refused, with ${socketErrors} socket errors`,
      )
    }
    return {
      requestsPerSecond: outcome.requests / outcome.seconds,
      p99Ms: outcome.p99Ms,
      cpuMicroseconds: (cpuSeconds / outcome.requests) * 1e6,
    }
  }
}
