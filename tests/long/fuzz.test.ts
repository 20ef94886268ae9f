import { afterAll, beforeAll, expect, test } from 'bun:test'

import { type Harness, MODELS_DIR, openHarness } from '../support/harness.ts'

const DURATION_MS = 120_000
/** Among them 429: wrong passwords for one user name cost a wait. */
const EXPECTED = new Set([200, 400, 401, 404, 413, 415, 422, 429])

let harness: Harness
beforeAll(async () => {
  harness = await openHarness({
    MODELS_DIR,
    RATE_LIMIT_PRINCIPAL: '1000000000',
    RATE_LIMIT_AUTH: '1000000000',
    RATE_LIMIT_VALIDATE: '1000000000',
    LOG_LEVEL: 'error',
  })
})
afterAll(() => harness.close())

/** Mulberry32: a seed that is printed makes a failure repeatable. */
function createRandom(seed: number) {
  let state = seed
  const next = () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296
  }
  const below = (limit: number) => Math.floor(next() * limit)
  return { below, pick: <T>(items: readonly T[]): T => items[below(items.length)]! }
}

const seed = Date.now() % 2 ** 31
const { below, pick } = createRandom(seed)

const paths = [
  '/api/v1/predict',
  '/api/v1/predict/batch',
  '/api/v1/auth/login',
  '/api/v1/auth/validate',
  '/api/v1/users',
  '/api/v1/users/import',
]
const words = [
  'model_type',
  'features',
  'batches',
  'batch_id',
  'classification',
  'regression',
  'forecast',
  'history',
  'horizon',
  'last_timestamp',
  'timestamps',
  'carat',
  'cut',
  'island',
  'sex',
  'username',
  'password',
  'password_hash',
  'users',
  'token',
  '__proto__',
  'constructor',
  'toString',
  'NA',
  'Inf',
  '',
  '\u0000',
  '𝒳',
  'x'.repeat(300),
]
const scalars = [null, true, false, 0, -1, 1, 1.5, 1e308, -1e-308, 2 ** 53, ...words]

function value(depth: number): unknown {
  const kind = below(depth > 4 ? 1 : 4)
  if (kind === 2) return Array.from({ length: below(4) }, () => value(depth + 1))
  if (kind === 3)
    return Object.fromEntries(
      Array.from({ length: below(4) }, () => [pick(words), value(depth + 1)]),
    )
  return pick(scalars)
}

const numbers = () =>
  Array.from({ length: below(6) }, () => pick([1, -2.5, 300, null, 'NA', 'Inf']))
const time = () => pick(['2026-01-31', '2024-02-29', 1_767_323_045, -1e300, 8.64e15])
const often = (good: unknown) => (below(4) > 0 ? good : value(2))

/** Something close to a good request, so that it gets deep, and mostly to where it belongs. */
function request(): { path: string; body: unknown } {
  const model_type = pick(['classification', 'regression', 'forecast'])
  const row = {
    classification: () => ({ bill_length_mm: often(40.5), island: often('Dream') }),
    regression: () => ({ carat: often(pick(['NA', 0.5])), cut: often('Ideal') }),
    forecast: () => ({
      history: often(numbers()),
      horizon: often(3),
      ...pick([{}, { last_timestamp: often(time()) }, { timestamps: often([time(), time()]) }]),
    }),
  }[model_type]!
  const features = pick([() => [row(), row()], () => [], row, () => value(1)])()
  const one = { model_type: often(model_type), features }
  const credentials = { username: often('ada'), password: value(2) }
  const token = { token: value(2) }
  const [path, body] = pick<[string, unknown]>([
    ['/api/v1/predict', one],
    ['/api/v1/predict', one],
    ['/api/v1/predict/batch', { batch_id: value(2), batches: often([one, one]) }],
    [pick(paths), credentials],
    [pick(paths), token],
    ['/api/v1/users/import', { users: often([credentials]) }],
    [pick(paths), value(0)],
  ])
  return { path, body }
}

function spoiled(text: string): string {
  const at = below(text.length + 1)
  return pick([
    () => text.slice(0, at),
    () =>
      text.slice(0, at) +
      pick(['[', '{', '"', '\\u', '\\ud800', 'NaN', '1e999', '-', '\u0000']) +
      text.slice(at),
  ])()
}

test('no body makes the server fail', async () => {
  process.stderr.write(`fuzz: seed ${seed}\n`)
  const statuses = new Map<number, number>()
  const end = Date.now() + DURATION_MS
  while (Date.now() < end) {
    const { path, body: good } = request()
    const body = below(3) > 0 ? JSON.stringify(good) : spoiled(JSON.stringify(good))
    // Passwords are hashed for real: not too many of them.
    if (/users|login/.test(path) && below(50) > 0) continue
    const response = await harness.request({ path, body, token: harness.adminToken })
    statuses.set(response.status, (statuses.get(response.status) ?? 0) + 1)
    await response.arrayBuffer()
    if (!EXPECTED.has(response.status) && response.status !== 201 && response.status !== 409) {
      expect({ path, body, status: response.status, log: harness.lines.at(-1) }).toEqual(
        {} as never,
      )
    }
  }
  process.stderr.write(`fuzz: ${JSON.stringify(Object.fromEntries(statuses))}\n`)
  expect(statuses.get(200)).toBeGreaterThan(1000)
  expect(harness.lines).toEqual([])
})
