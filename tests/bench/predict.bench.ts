import { join } from 'node:path'

import type { Comparison } from './compare.ts'
import { CONNECTIONS } from './load.ts'
import { benchModels } from './models.ts'
import { bun, productSettings, signIn } from './product.ts'
import { benchRows, MODEL } from './rows.ts'

const ECHO = 'raw JSON echo'
const PRODUCT = 'product'
const ONE_BY_ONE = 'product, one call a row'
const FASTIFY = 'Fastify, one call a row'

const BODIES = 4000
const TOLERANCE = 1e-9

const times = (other: string) => ({
  unit: '×',
  read: (of: (contender: string) => { requestsPerSecond: number }) =>
    of(PRODUCT).requestsPerSecond / of(other).requestsPerSecond,
})
const CLAIMS = [
  { claim: 'req/s of the echo', ...times(ECHO) },
  { claim: 'req/s of one call a row', ...times(ONE_BY_ONE) },
  { claim: 'req/s of Fastify', ...times(FASTIFY) },
]
const LEAST = [0.5, 1.8, 3]

interface Golden {
  features: Record<string, number | null>[]
  predictions: string[]
  probabilities: Record<string, number>[]
}

/** What batching and threads are worth: one row a request, by log-in, gateway, batcher and model. */
export async function predict(scratch: string): Promise<Comparison[]> {
  const quoted = {
    name: 'trees',
    says: '100 trees of 31 leaves',
    folder: MODEL,
    bars: CLAIMS.map((claim, at) => ({ ...claim, limit: { least: LEAST[at]! } })),
  }
  const others = benchModels()
  if (others === undefined) {
    process.stderr.write('Skipped: a model of 500 trees and a linear one, without Python.\n')
    return [await predictBy(quoted, scratch)]
  }
  const beside = [
    { name: 'large', says: '500 trees of 127 leaves' },
    { name: 'linear', says: 'a matrix of 10 × 3 and a softmax' },
  ].map((model) => ({ ...model, folder: join(others, model.name, '1'), bars: CLAIMS }))
  const comparisons: Comparison[] = []
  for (const model of [quoted, ...beside]) {
    comparisons.push(await predictBy(model, join(scratch, model.name)))
  }
  return comparisons
}

interface Asked {
  name: string
  says: string
  folder: string
  bars: Comparison['bars']
}

async function predictBy(
  { name, says, folder, bars }: Asked,
  scratch: string,
): Promise<Comparison> {
  const golden = (await Bun.file(join(folder, 'golden.json')).json()) as Golden
  const requestOf = (features: unknown) => ({ model_type: name, features })
  const bodies = join(scratch, 'bodies.txt')
  const rows = await benchRows(BODIES)
  await Bun.write(bodies, rows.map((row) => JSON.stringify(requestOf([row]))).join('\n'))

  const settings = { ...productSettings(scratch), MODELS_DIR: join(folder, '../..') }
  const authorization = await signIn(scratch)
  const main = { command: bun('src/main.ts') }
  return {
    title: `predict: POST of one row, signed in, cache off, ${CONNECTIONS} connections, ${says}`,
    load: {
      path: '/api/v1/predict',
      headers: { ...authorization, 'content-type': 'application/json' },
      bodies,
    },
    probe: {
      body: requestOf(golden.features),
      isRight: (answer, name) =>
        name === ECHO
          ? Bun.deepEquals(answer, requestOf(golden.features))
          : isGolden(answer as Golden, golden),
    },
    contenders: [
      { name: ECHO, command: bun('tests/bench/servers/echo.ts'), env: {} },
      { name: PRODUCT, ...main, env: settings },
      {
        name: ONE_BY_ONE,
        ...main,
        env: { ...settings, PREDICT_BATCH_ROWS_MAX: '1', PREDICT_IN_PLACE_US_MAX: '0' },
      },
      {
        name: FASTIFY,
        command: ['node', join(import.meta.dir, 'servers/fastify.mjs'), folder],
        env: { NODE_ENV: 'production' },
      },
    ],
    bars,
  }
}

function isGolden(answer: Golden, golden: Golden): boolean {
  return (
    Bun.deepEquals(answer.predictions, golden.predictions) &&
    golden.probabilities.every((expected, row) =>
      Object.entries(expected).every(
        ([label, share]) => Math.abs(answer.probabilities[row]![label]! - share) < TOLERANCE,
      ),
    )
  )
}
