import type { Bar, Figures, Rounds } from './compare.ts'

/** Operations in this process, one beside the other, and what is expected of them. */
export interface Race {
  title: string
  /** Operations of a contender that are under way at once. */
  inFlight: number
  contenders: { name: string; operate: () => Promise<unknown> }[]
  bars: Bar[]
}

const WARM_UP_SECONDS = 1

/** Measures the contenders in turn, round after round, each as often as it gets done. */
export async function race(
  { contenders, inFlight }: Race,
  { rounds, seconds }: { rounds: number; seconds: number },
): Promise<Rounds> {
  for (const { operate } of contenders) await measureOne(operate, inFlight, WARM_UP_SECONDS)
  const measured: Rounds = []
  for (let round = 0; round < rounds; round++) {
    const figures = new Map<string, Figures>()
    for (const { name, operate } of contenders) {
      figures.set(name, await measureOne(operate, inFlight, seconds))
    }
    measured.push(figures)
  }
  return measured
}

async function measureOne(
  operate: () => Promise<unknown>,
  inFlight: number,
  seconds: number,
): Promise<Figures> {
  const startedAt = performance.now()
  const endAt = startedAt + seconds * 1000
  const cpuBefore = process.cpuUsage()
  let operations = 0
  const runner = async () => {
    while (performance.now() < endAt) {
      await operate()
      operations += 1
    }
  }
  await Promise.all(Array.from({ length: inFlight }, runner))
  const cpu = process.cpuUsage(cpuBefore)
  return {
    requestsPerSecond: operations / ((performance.now() - startedAt) / 1000),
    p99Ms: Number.NaN,
    cpuMicroseconds: (cpu.user + cpu.system) / operations,
  }
}
