import { expect, test } from 'bun:test'

import { Counter, Histogram, Registry } from 'prom-client'

import { tallyCounter, tallyHistogram } from './tally.ts'

const described = { name: 'thing_seconds', help: 'Things.', labelNames: ['kind', 'size'] as const }
const buckets = [0.01, 0.1, 1]
const children = [
  { kind: 'a', size: '1' },
  { kind: 'b"\\', size: '2' },
]

test('a histogram is scraped as prom-client’s own', async () => {
  const [ours, theirs] = [new Registry(), new Registry()]
  const tally = tallyHistogram({ ...described, buckets, registry: ours })
  const reference = new Histogram({ ...described, buckets, registers: [theirs] })
  for (const [index, labels] of children.entries()) {
    const child = tally(labels)
    // Each bound itself, what is around it, and what lies outside of all.
    for (const value of [...buckets, 0, 0.005, 0.011, 0.99, 1.01, 40 + index]) {
      child.observe(value)
      reference.observe(labels, value)
    }
  }
  expect(await ours.metrics()).toContain('thing_seconds_bucket{le="0.1",kind="a",size="1"} 5\n')
  expect(await ours.metrics()).toBe(await theirs.metrics())
})

test('what is forgotten is scraped no more, and begins anew', async () => {
  const registry = new Registry()
  const counter = tallyCounter({ ...described, name: 'things_total', registry })
  const histogram = tallyHistogram({ ...described, buckets, registry })
  for (const labels of children) {
    counter(labels).inc()
    histogram(labels).observe(1)
  }
  const [gone, kept] = children as [(typeof children)[0], (typeof children)[0]]
  counter.forget(gone)
  histogram.forget(gone)
  const text = await registry.metrics()
  expect(text).not.toContain(`kind="${gone.kind}"`)
  expect(text).toContain(`size="${kept.size}"`)
  counter(gone).inc(5)
  expect(await registry.metrics()).toContain('things_total{kind="a",size="1"} 5\n')
})

test('a counter is scraped as prom-client’s own, time and again', async () => {
  const [ours, theirs] = [new Registry(), new Registry()]
  const name = 'things_total'
  const tally = tallyCounter({ ...described, name, registry: ours })
  const reference = new Counter({ ...described, name, registers: [theirs] })
  const counters = children.map((labels) => ({ ours: tally(labels), labels }))
  for (let scrape = 0; scrape < 3; scrape++) {
    for (const { ours: counter, labels } of counters) {
      counter.inc()
      counter.inc(2.5)
      reference.inc(labels, 3.5)
    }
    expect(await ours.metrics()).toBe(await theirs.metrics())
  }
  expect(await ours.metrics()).toContain('things_total{kind="a",size="1"} 10.5\n')
})

test('asked again for the same labels, it is the same child, and is scraped once', async () => {
  const registry = new Registry()
  const counter = tallyCounter({ ...described, name: 'things_total', registry })
  const histogram = tallyHistogram({ ...described, buckets, registry })
  const [labels] = children as [(typeof children)[number]]
  expect(counter({ ...labels })).toBe(counter(labels))
  for (let time = 0; time < 3; time += 1) histogram({ ...labels }).observe(0.05)
  const series = (await registry.metrics()).split('\n').filter((line) => line.includes('le="1"'))
  expect(series).toEqual(['thing_seconds_bucket{le="1",kind="a",size="1"} 3'])
})
