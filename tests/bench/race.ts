import type { Bar, Figures, Rounds } from './compare.ts'

/** Operations in this process, one beside the other, and what is expected of them. */
export interface Race {
  title: string
  /** Operations of a contender that are under way at once. */
  inFlight: number
  contenders: Contender[]
  bars: Bar[]
  /** Ends what was started for it. */
  close?: () => Promise<void>
}

interface Contender {
  name: string
  operate: () => Promise<unknown>
  /** Gets ready for one call of `operate`, off the clock; then each round has one. */
  prepare?: () => Promise<void>
  /** What one call of `operate` counts for. */
  operations?: number
}

const WARM_UP_SECONDS = 1

/** Measures the contenders in turn, round after round, each as often as it gets done. */
export async function race(
  { contenders, inFlight }: Race,
  { rounds, seconds }: { rounds: number; seconds: number },
): Promise<Rounds> {
  for (const contender of contenders) await measureOne(contender, inFlight, WARM_UP_SECONDS)
  const measured: Rounds = []
  for (let round = 0; round < rounds; round++) {
    const figures = new Map<string, Figures>()
    for (const contender of contenders) {
      figures.set(contender.name, await measureOne(contender, inFlight, seconds))
    }
    measured.push(figures)
  }
  return measured
}

async function measureOne(
  { operate, prepare, operations: weight = 1 }: Contender,
  inFlight: number,
  seconds: number,
): Promise<Figures> {
  await prepare?.()
  const startedAt = performance.now()
  const endAt = startedAt + seconds * 1000
  const cpuBefore = process.cpuUsage()
  let operations = 0
  const isOver = () => prepare !== undefined || performance.now() >= endAt
  const runner = async () => {
    do {
      await operate()
      operations += weight
    } while (!isOver())
  }
  await Promise.all(Array.from({ length: inFlight }, runner))
  const cpu = process.cpuUsage(cpuBefore)
  return {
    requestsPerSecond: operations / ((performance.now() - startedAt) / 1000),
    p99Ms: Number.NaN,
    cpuMicroseconds: (cpu.user + cpu.system) / operations,
  }
}
