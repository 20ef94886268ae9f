import { join } from 'node:path'

import type { Comparison } from './compare.ts'
import { CONNECTIONS } from './load.ts'
import { bun, productSettings, signIn } from './product.ts'
import { benchRows, MODEL } from './rows.ts'

const ECHO = 'raw JSON echo'
const PRODUCT = 'product'
const ONE_BY_ONE = 'product, one call a row'
const FASTIFY = 'Fastify, one call a row'

const BODIES = 4000
const TOLERANCE = 1e-9

interface Golden {
  features: Record<string, number | null>[]
  predictions: string[]
  probabilities: Record<string, number>[]
}

/** What batching and threads are worth: one row a request, by log-in, gateway, batcher and model. */
export async function predict(scratch: string): Promise<Comparison> {
  const golden = (await Bun.file(join(MODEL, 'golden.json')).json()) as Golden
  const bodies = join(scratch, 'bodies.txt')
  await Bun.write(bodies, (await benchRows(BODIES)).map(bodyOf).join('\n'))

  const authorization = await signIn(scratch)
  const main = { command: bun('src/main.ts') }
  const settings = productSettings(scratch)
  return {
    title: `predict: POST of one row, signed in, cache off, ${CONNECTIONS} connections`,
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
        command: ['node', join(import.meta.dir, 'servers/fastify.mjs'), MODEL],
        env: { NODE_ENV: 'production' },
      },
    ],
    bars: [
      { claim: 'req/s of the echo', ...times(ECHO), limit: { least: 0.5 } },
      { claim: 'req/s of one call a row', ...times(ONE_BY_ONE), limit: { least: 1.8 } },
      { claim: 'req/s of Fastify', ...times(FASTIFY), limit: { least: 3 } },
    ],
  }
}

const times = (other: string) => ({
  unit: '×',
  read: (of: (contender: string) => { requestsPerSecond: number }) =>
    of(PRODUCT).requestsPerSecond / of(other).requestsPerSecond,
})

const requestOf = (features: unknown) => ({ model_type: 'trees', features })
const bodyOf = (row: unknown) => JSON.stringify(requestOf([row]))

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
