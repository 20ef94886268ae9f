import { describe, expect, test } from 'bun:test'

import { createMetrics } from './metrics.ts'

/** Each sample of the text format of Prometheus, by its name and labels. */
async function scrape(metrics: ReturnType<typeof createMetrics>): Promise<Map<string, number>> {
  const text = await metrics.metrics()
  const samples = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'))
  return new Map(
    samples.map((line) => {
      expect(line).toMatch(/^[a-z_]+(\{[a-z_]+="[^"]*"(,[a-z_]+="[^"]*")*\})? (-?[\d.e+-]+|NaN)$/)
      const space = line.lastIndexOf(' ')
      return [line.slice(0, space), Number(line.slice(space + 1))] as const
    }),
  )
}

const lag = (quantile: string) => `event_loop_lag_seconds{quantile="${quantile}"}`

describe('the metrics of the process', () => {
  test('are numbers, also at a scrape right after the start', async () => {
    const samples = await scrape(createMetrics())
    expect([...samples.keys()].toSorted()).toEqual([
      lag('0.5'),
      lag('0.99'),
      lag('1'),
      'process_cpu_seconds_total',
      'process_heap_bytes',
      'process_open_fds',
      'process_resident_memory_bytes',
      'process_start_time_seconds',
    ])
    for (const [name, value] of samples) expect([name, value]).toEqual([name, expect.any(Number)])
    expect([...samples.values()].filter((value) => !Number.isFinite(value))).toEqual([])
    expect(samples.get('process_heap_bytes')).toBeGreaterThan(100_000)
    expect(samples.get('process_open_fds')).toBeGreaterThan(2)
    const age = Date.now() / 1000 - samples.get('process_start_time_seconds')!
    expect(age).toBeWithin(0, 3600)
  })

  test('are explained, each with its type', async () => {
    const text = await createMetrics().metrics()
    const names = [...text.matchAll(/^# TYPE (\S+) (gauge|counter)$/gm)].map(([, name]) => name)
    expect(names).toHaveLength(6)
    for (const name of names) expect(text).toMatch(new RegExp(`^# HELP ${name} \\S.*\\.$`, 'm'))
  })

  test('tell how long the loop was held up since the scrape before', async () => {
    const metrics = createMetrics()
    await Bun.sleep(30)
    await scrape(metrics)
    Bun.sleepSync(200)
    await Bun.sleep(30)
    const held = await scrape(metrics)
    expect(held.get(lag('1'))).toBeWithin(0.15, 5)
    await Bun.sleep(30)
    const after = await scrape(metrics)
    expect(after.get(lag('1'))).toBeLessThan(held.get(lag('1'))!)
    expect(after.get(lag('0.5'))).toBeLessThanOrEqual(after.get(lag('1'))!)
  })

  test('count the time of the processor upwards', async () => {
    const metrics = createMetrics()
    const before = (await scrape(metrics)).get('process_cpu_seconds_total')!
    const end = performance.now() + 30
    while (performance.now() < end);
    const after = (await scrape(metrics)).get('process_cpu_seconds_total')!
    expect(after - before).toBeGreaterThan(0.005)
    const { user, system } = process.cpuUsage()
    expect(after).toBeWithin((user + system) / 1e6 - 0.1, (user + system) / 1e6 + 0.001)
  })

  test('are of one registry each', async () => {
    createMetrics()
    expect((await scrape(createMetrics())).size).toBe(8)
  })
})
