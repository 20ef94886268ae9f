import { afterAll, beforeAll, expect, test } from 'bun:test'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'

import { FIXTURE_MODELS_DIR } from '../support/harness.ts'
import { startServer, type TestServer } from '../support/server.ts'
import { treeFixture, uploadTo } from '../support/uploads.ts'

const BENCH_MODEL = join(import.meta.dir, '..', 'bench', 'models', 'trees', '1')
const GROWTH_MAX = 0.1
const WARM_UP_CYCLES = 60
const CYCLES = 200
const WARM_UP_PREDICTIONS = 100_000
const PREDICTIONS = 200_000
const CONNECTIONS = 32
const SAMPLES = 100
const SAMPLE_INTERVAL_MS = 100

interface Loaded {
  name: string
  row: Record<string, unknown>
}

let server: TestServer
let token: string
const models: Loaded[] = []
beforeAll(async () => {
  server = await startServer({
    MODELS_DIR: FIXTURE_MODELS_DIR,
    WORKERS: '2',
    RATE_LIMIT_PRINCIPAL: '1000000000',
  })
  token = await server.logIn()
  for (const library of ['lightgbm-large', 'xgboost-large']) {
    const { file } = await treeFixture(library)
    await add(library, { model: file, manifest: { name: library } })
  }
  const { version: _, ...manifest } = (await Bun.file(
    join(BENCH_MODEL, 'manifest.json'),
  ).json()) as Record<string, unknown>
  const onnx = await Bun.file(join(BENCH_MODEL, 'model.onnx')).bytes()
  await add('onnx', { model: onnx, manifest: { ...manifest, cache: false } })
})
afterAll(() => server.stop())

async function add(name: string, parts: Parameters<typeof uploadTo>[1]): Promise<void> {
  const response = await uploadTo(server.url, parts, token, `?name=${name}`)
  expect([response.status, await response.json()]).toMatchObject([201, { fault: null }])
  const card = await fetch(`${server.url}/api/v1/models/${name}`, {
    headers: { authorization: `Bearer ${token}` },
  })
  const { inputs } = (await card.json()) as { inputs: { name: string }[] }
  models.push({ name, row: Object.fromEntries(inputs.map((input, at) => [input.name, at / 7])) })
}

async function predict({ name, row }: Loaded): Promise<void> {
  const response = await server.post(
    '/api/v1/predict',
    { model_type: name, features: [row] },
    token,
  )
  await response.arrayBuffer()
  expect(response.status).toBe(200)
}

async function cycle(): Promise<void> {
  for (const model of models) {
    for (const verb of ['unload', 'load']) {
      const path = `/v2/repository/models/${model.name}/${verb}`
      const response = await server.post(path, {}, token)
      await response.arrayBuffer()
      expect(response.status).toBe(200)
    }
    await predict(model)
  }
}

async function predictAll(count: number): Promise<void> {
  let left = count
  const client = async () => {
    for (; left > 0; left -= 1) await predict(models[left % models.length]!)
  }
  await Promise.all(Array.from({ length: CONNECTIONS }, client))
}

/** The least of several seconds under a light load: garbage is collected, and goes back, a while later. */
async function residentMiB(): Promise<number> {
  let least = Infinity
  for (let sample = 0; sample < SAMPLES; sample += 1) {
    await Bun.sleep(SAMPLE_INTERVAL_MS)
    for (const model of models) await predict(model)
    const status = readFileSync(`/proc/${server.process.pid}/status`, 'utf8')
    least = Math.min(least, Number(/VmRSS:\s+(\d+)/.exec(status)![1]) / 1024)
  }
  return least
}

async function expectFlat(what: string, work: () => Promise<void>): Promise<void> {
  const before = await residentMiB()
  await work()
  const after = await residentMiB()
  process.stderr.write(`memory: ${what}: ${before.toFixed(0)} → ${after.toFixed(0)} MiB\n`)
  expect(after).toBeLessThan(before * (1 + GROWTH_MAX))
}

test(`memory stays where it was over ${CYCLES} times that three models are unloaded and loaded`, async () => {
  for (let count = 0; count < WARM_UP_CYCLES; count += 1) await cycle()
  await expectFlat(`${CYCLES} cycles of three models`, async () => {
    for (let count = 0; count < CYCLES; count += 1) await cycle()
  })
})

test(`memory stays where it was over ${PREDICTIONS} predictions of three models`, async () => {
  await predictAll(WARM_UP_PREDICTIONS)
  await expectFlat(`${PREDICTIONS} predictions`, () => predictAll(PREDICTIONS))
})
