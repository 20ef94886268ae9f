import { expect, test } from 'bun:test'
import { readFileSync } from 'node:fs'

import { MODELS_DIR } from '../support/harness.ts'
import { startServer } from '../support/server.ts'

const WARM_UP_MS = 60_000
const DURATION_MS = 180_000
const CONNECTIONS = 32
const GROWTH_MIB_MAX = 48

test('memory stays where it was under steady predictions', async () => {
  const server = await startServer({
    MODELS_DIR,
    RATE_LIMIT_PRINCIPAL: '1000000000',
    // Small, so that it is full long before the first measurement.
    CACHE_BYTES_MAX: '4000000',
  })
  const token = await server.logIn()
  const residentMiB = () => {
    const status = readFileSync(`/proc/${server.process.pid}/status`, 'utf8')
    return Number(/VmRSS:\s+(\d+)/.exec(status)![1]) / 1024
  }
  let count = 0
  let failed = 0
  const predictUntil = async (end: number) => {
    await Promise.all(
      Array.from({ length: CONNECTIONS }, async () => {
        while (Date.now() < end) {
          const history = Array.from({ length: 12 }, () => 300 + Math.random() * 100)
          const features = [{ history, horizon: 6 }]
          const response = await server.post(
            '/api/v1/predict',
            { model_type: 'forecast', features },
            token,
          )
          await response.arrayBuffer()
          count += 1
          if (response.status !== 200) failed += 1
        }
      }),
    )
  }
  await predictUntil(Date.now() + WARM_UP_MS)
  const before = residentMiB()
  await predictUntil(Date.now() + DURATION_MS)
  const after = residentMiB()
  process.stderr.write(
    `soak: ${count} predictions, ${before.toFixed(0)} → ${after.toFixed(0)} MiB\n`,
  )
  expect(failed).toBe(0)
  expect(after - before).toBeLessThan(GROWTH_MIB_MAX)
  expect(await server.stop()).toBe(0)
})
