import { afterAll, describe, expect, test } from 'bun:test'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'

import { settings } from '../../src/platform/config.ts'
import { type Harness, MODELS_DIR, openHarness, PASSWORD } from '../support/harness.ts'

const TREES_DIR = join(import.meta.dir, '..', 'bench', 'models')
const GOLDEN = join(TREES_DIR, 'trees', '1', 'golden.json')

const LOGIN = '/api/v1/auth/login'
const PREDICT = '/api/v1/predict'
const credentials = { username: 'admin', password: PASSWORD }
const upload = async (
  { platform, request }: Harness,
  bytes: number,
  body: string | Promise<never>,
) => {
  const address = platform.storage.uploadAddress('a', { expiresInSeconds: 60, bytesMax: bytes })
  const { pathname, search } = new URL(address)
  const path = pathname + search
  if (typeof body === 'string') return request({ method: 'PUT', path, body })
  const silent = new ReadableStream({ pull: () => body })
  return request({ method: 'PUT', path, body: silent })
}
const points = (rows: number) => ({
  model_type: 'classification',
  features: { x1: Array(rows).fill(1), x2: Array(rows).fill(2) },
})
const post = (harness: Harness, path: string, body: unknown) =>
  harness.request({ path, body, token: harness.adminToken })
const scrape = async (harness: Harness) =>
  (await harness.request({ path: '/metrics', token: harness.adminToken })).text()

/** A server that never answers. */
const silent = Bun.serve({ port: 0, hostname: '127.0.0.1', fetch: () => new Promise(() => {}) })
afterAll(() => silent.stop(true))

interface Limit {
  setting: keyof typeof settings.shape
  set: Record<string, string>
  /** Goes to the limit, which is answered, and beyond it. */
  beyond: (harness: Harness) => Promise<Response>
  status: number
  says: string
}

const limits: Limit[] = [
  {
    setting: 'BODY_BYTES_MAX',
    set: { BODY_BYTES_MAX: '1000' },
    beyond: (harness) => post(harness, PREDICT, { ...points(1), note: 'x'.repeat(1000) }),
    status: 413,
    says: 'at most 1000 bytes',
  },
  {
    setting: 'REQUEST_TIMEOUT_MS',
    set: { REQUEST_TIMEOUT_MS: '1' },
    beyond: (harness) => post(harness, LOGIN, credentials),
    status: 504,
    says: 'no answer in 1 ms',
  },
  {
    setting: 'RATE_LIMIT_AUTH',
    set: { RATE_LIMIT_AUTH: '1' },
    beyond: afterOne((harness) => post(harness, LOGIN, credentials)),
    status: 429,
    says: 'At most 1 requests a minute',
  },
  {
    setting: 'RATE_LIMIT_VALIDATE',
    set: { RATE_LIMIT_VALIDATE: '1' },
    beyond: afterOne((harness) => post(harness, '/api/v1/auth/validate', { token: 'x' })),
    status: 429,
    says: 'At most 1 requests a minute',
  },
  {
    setting: 'RATE_LIMIT_FORWARD',
    // What a proxy asks is not counted as the requests of those it asks for.
    set: { RATE_LIMIT_FORWARD: '2', RATE_LIMIT_PRINCIPAL: '1' },
    async beyond({ request, adminToken }) {
      const ask = () => request({ path: '/api/v1/auth/forward', token: adminToken })
      expect([(await ask()).status, (await ask()).status]).toEqual([200, 200])
      expect((await request({ path: '/api/v1/models', token: adminToken })).status).toBe(200)
      return ask()
    },
    status: 429,
    // A proxy gets no body.
    says: '',
  },
  {
    setting: 'RATE_LIMIT_PRINCIPAL',
    set: { RATE_LIMIT_PRINCIPAL: '1' },
    beyond: afterOne((harness) => post(harness, PREDICT, points(1))),
    status: 429,
    says: 'At most 1 requests a minute',
  },
  {
    setting: 'PASSWORD_QUEUE_MAX',
    set: { PASSWORD_QUEUE_MAX: '1' },
    beyond: lastRefused(20, (harness) => post(harness, LOGIN, credentials)),
    status: 503,
    says: 'Too many logins at once',
  },
  {
    setting: 'LOGIN_FAILURES_MAX',
    set: { LOGIN_FAILURES_MAX: '2' },
    async beyond(harness) {
      const wrong = { username: 'admin', password: 'wrong password' }
      for (const status of [401, 401])
        expect((await post(harness, LOGIN, wrong)).status).toBe(status)
      return post(harness, LOGIN, wrong)
    },
    status: 429,
    says: 'Too many wrong passwords. Try again in 1 s.',
  },
  {
    setting: 'LOGIN_FAILURES_PER_ADDRESS_MAX',
    set: { LOGIN_FAILURES_PER_ADDRESS_MAX: '2' },
    async beyond(harness) {
      const wrong = (username: string) => post(harness, LOGIN, { username, password: 'wrong' })
      for (const name of ['ada', 'eve']) expect((await wrong(name)).status).toBe(401)
      return wrong('bob')
    },
    status: 429,
    says: 'Too many wrong passwords. Try again in 1 s.',
  },
  {
    setting: 'LOGIN_HOLD_SECONDS',
    set: { LOGIN_FAILURES_MAX: '1', LOGIN_HOLD_SECONDS: '3' },
    async beyond(harness) {
      const wrong = () => post(harness, LOGIN, { username: 'ada', password: 'wrong' })
      for (const seconds of [0, 1, 2, 3]) {
        harness.clock.advance(seconds * 1000)
        expect((await wrong()).status).toBe(401)
      }
      return wrong()
    },
    status: 429,
    says: 'Try again in 3 s.',
  },
  {
    setting: 'IMPORT_USERS_MAX',
    set: { IMPORT_USERS_MAX: '2' },
    async beyond(harness) {
      const users = (count: number) =>
        Array.from({ length: count }, (_, n) => ({
          username: `imported ${n}`,
          password_hash: '$2b$12$R9h/cIPz0gi.URNNX3kh2OPST9/PgBkqquzi.Ss7KIUgO2t0jWMUW',
        }))
      const imported = (count: number) =>
        post(harness, '/api/v1/users/import', { users: users(count) })
      expect((await imported(2)).status).toBe(200)
      return imported(3)
    },
    status: 422,
    says: 'has 3 users, at most 2',
  },
  {
    setting: 'SSO_TIMEOUT_MS',
    set: {
      SSO_TIMEOUT_MS: '50',
      SSO_PROVIDERS: JSON.stringify([{ id: 'silent', issuer: silent.url.origin, client_id: 'x' }]),
    },
    beyond: (harness) => harness.request({ path: '/api/v1/auth/sso/silent/start' }),
    status: 503,
    says: 'The identity provider silent does not answer',
  },
  {
    setting: 'TOKEN_TTL_SECONDS',
    set: { TOKEN_TTL_SECONDS: '60' },
    async beyond(harness) {
      const token = await harness.logIn('admin')
      harness.clock.advance(59_000)
      const known = await harness.request({ path: '/api/v1/models', token })
      expect(known.status).toBe(200)
      harness.clock.advance(2_000)
      return harness.request({ path: '/api/v1/models', token })
    },
    status: 401,
    says: 'Token expired',
  },
  {
    setting: 'PREDICT_BATCHES_MAX',
    set: { PREDICT_BATCHES_MAX: '1' },
    beyond: (harness) => post(harness, `${PREDICT}/batch`, { batches: [points(1), points(1)] }),
    status: 422,
    says: 'has 2 batches, at most 1',
  },
  {
    setting: 'PREDICT_ROWS_MAX',
    set: { PREDICT_ROWS_MAX: '2' },
    async beyond(harness) {
      expect((await post(harness, PREDICT, points(2))).status).toBe(200)
      return post(harness, PREDICT, points(3))
    },
    status: 422,
    says: 'has 3 rows, at most 2',
  },
  {
    setting: 'PREDICT_QUEUE_ROWS_MAX',
    set: { PREDICT_ROWS_MAX: '2', PREDICT_QUEUE_ROWS_MAX: '2' },
    async beyond(harness) {
      // Once before, so that the token is known and the others come at once.
      await harness.request({ path: '/api/v1/models', token: harness.adminToken })
      return lastRefused(20, (_, nth) => {
        // Each its own: the same rows at the same time are one call.
        const features = { x1: [nth, 1], x2: [1, nth] }
        return post(harness, PREDICT, { model_type: 'classification', features })
      })(harness)
    },
    status: 503,
    says: '2 rows are waiting for this model',
  },
  {
    setting: 'PREDICT_RUN_TIMEOUT_MS',
    set: {
      MODELS_DIR: TREES_DIR,
      PREDICT_RUN_TIMEOUT_MS: '1',
      PREDICT_BATCH_ROWS_MAX: '10000',
      BODY_BYTES_MAX: '100000000',
    },
    async beyond(harness) {
      const { features } = (await Bun.file(GOLDEN).json()) as { features: object[] }
      const rows = Array.from({ length: 10_000 }, (_, row) => features[row % features.length])
      let response: Response
      let tries = 5
      // On a busy machine this process may stand still for longer than the call takes.
      do response = await post(harness, PREDICT, { model_type: 'trees', features: rows })
      while (response.status === 200 && --tries > 0)
      return response
    },
    status: 504,
    says: 'Model timeout',
  },
  {
    setting: 'PREDICT_VALUES_MAX',
    set: { PREDICT_VALUES_MAX: '10' },
    async beyond(harness) {
      expect((await post(harness, PREDICT, points(5))).status).toBe(200)
      return post(harness, PREDICT, points(6))
    },
    status: 422,
    says: 'at most 5 go in one request',
  },
  {
    setting: 'PREDICT_EXPLAIN_VALUES_MAX',
    set: { MODELS_DIR, PREDICT_EXPLAIN_VALUES_MAX: '20' },
    async beyond(harness) {
      const ask = (rows: number) =>
        post(harness, PREDICT, {
          model_type: 'regression',
          features: Array.from({ length: rows }, () => ({ carat: 1 })),
          explain: true,
        })
      expect((await ask(2)).status).toBe(200)
      return ask(3)
    },
    status: 422,
    says: 'at most 2 go in one request',
  },
  {
    // What a request may ask for does not grow with how many batches it has.
    setting: 'PREDICT_EXPLAIN_VALUES_MAX',
    set: { MODELS_DIR, PREDICT_EXPLAIN_VALUES_MAX: '20' },
    async beyond(harness) {
      const one = { model_type: 'regression', features: [{ carat: 1 }], explain: true }
      const ask = (count: number) =>
        post(harness, `${PREDICT}/batch`, { batches: Array.from({ length: count }, () => one) })
      expect((await ask(2)).status).toBe(200)
      return ask(3)
    },
    status: 422,
    says: '#/batches/2/features',
  },
  {
    setting: 'STORAGE_UPLOAD_BYTES_MAX',
    set: { STORAGE_UPLOAD_BYTES_MAX: '10', BODY_BYTES_MAX: '1' },
    async beyond(harness) {
      expect((await upload(harness, 99, 'x'.repeat(10))).status).toBe(201)
      return upload(harness, 99, 'x'.repeat(11))
    },
    status: 413,
    says: 'at most 10 bytes',
  },
  {
    setting: 'STORAGE_UPLOAD_TIMEOUT_MS',
    set: { STORAGE_UPLOAD_TIMEOUT_MS: '50' },
    async beyond(harness) {
      const response = await upload(harness, 99, new Promise<never>(() => {}))
      await Bun.sleep(10)
      // What was given up leaves nothing; the copy is of the model that serves.
      const left = readdirSync(join(harness.platform.config.DATA_DIR, 'files/@partial'))
      expect(left.filter((name) => !name.endsWith('model.onnx'))).toEqual([])
      return response
    },
    status: 504,
    says: 'no answer in 50 ms',
  },
]

/** Settings that bound without a refusal, or whose test needs another stage. */
const elsewhere: Partial<Record<keyof typeof settings.shape, string>> = {
  AUDIT_TTL_SECONDS: 'tests/contract/audit.test.ts',
  LOGIN_THROTTLES_MAX: 'src/auth/sessions/throttle.test.ts',
  SMTP_TIMEOUT_MS: 'tests/contract/mail.test.ts',
  MAILS_PER_ACCOUNT_MAX: 'tests/contract/mail.test.ts',
  MAIL_KEPT_MAX: 'tests/contract/mail.test.ts',
  API_KEYS_PER_OWNER_MAX: 'tests/contract/api-keys.test.ts',
  CLIENT_TOKEN_TTL_SECONDS: 'tests/contract/oauth.test.ts',
  RATE_LIMIT_CLIENTS: 'tests/contract/oauth.test.ts',
  TOKEN_CACHE_MAX: 'src/auth/sessions/sessions.test.ts',
  SESSIONS_PER_ACCOUNT_MAX: 'tests/contract/sessions.test.ts',
  KEY_ROTATION_SECONDS: 'tests/contract/keys.test.ts',
  REFRESHED_TOKEN_TTL_SECONDS: 'tests/contract/sessions.test.ts',
  SESSION_TTL_SECONDS: 'tests/contract/sessions.test.ts',
  SESSION_IDLE_SECONDS: 'tests/contract/sessions.test.ts',
  RATE_LIMIT_KEYS_MAX: 'src/gateway/gateway.test.ts',
  JOBS_UNFINISHED_MAX: 'tests/contract/jobs.test.ts',
  JOB_LEASE_MS: 'src/platform/jobs/contract.test.ts',
  JOB_POLL_MS: 'src/platform/jobs/contract.test.ts',
  JOB_RESULT_TTL_SECONDS: 'src/platform/jobs/contract.test.ts',
  JOB_TIMEOUT_SECONDS: 'src/platform/jobs/contract.test.ts',
  DATABASE_POOL_MAX: 'src/platform/database/postgres.test.ts',
  CACHE_BYTES_MAX: 'src/platform/cache/contract.test.ts',
  MODEL_BYTES_MAX: 'tests/contract/model-uploads.test.ts',
  MODEL_EXAMPLES_BYTES_MAX: 'tests/contract/model-uploads.test.ts',
  MODELS_PER_OWNER_BYTES_MAX: 'tests/contract/model-uploads.test.ts',
  MODEL_ADMISSION_TIMEOUT_MS: 'tests/contract/model-admission.test.ts',
  MODEL_ADMISSION_MEMORY_BYTES_MAX: 'tests/contract/model-admission.test.ts',
  MODEL_ADMISSIONS_MAX: 'tests/contract/model-admission.test.ts',
  MODEL_VERSIONS_ASKED_MAX: 'tests/contract/traffic.test.ts',
  DATASET_UPLOAD_BYTES_MAX: 'tests/contract/datasets.test.ts',
  DATASET_REJECTED_ROWS_MAX: 'tests/contract/datasets.test.ts',
  DATASETS_PER_OWNER_BYTES_MAX: 'tests/contract/datasets.test.ts',
  DATASET_EXPANDED_BYTES_MAX: 'tests/contract/dataset-limits.test.ts',
  DATASET_EXPORT_SECONDS: 'tests/contract/dataset-limits.test.ts',
  DATASET_EVENTS_BYTES_MAX: 'tests/contract/dataset-events.test.ts',
  DATASET_EVENTS_WAIT_MS: 'tests/contract/dataset-events.test.ts',
  DATASET_EVENTS_PENDING_BYTES_MAX: 'tests/contract/dataset-events.test.ts',
  DATA_QUERIES_MAX: 'tests/contract/dataset-limits.test.ts',
  DATA_QUEUE_MAX: 'tests/contract/dataset-limits.test.ts',
  DATA_MEMORY_BYTES_MAX: 'tests/contract/dataset-limits.test.ts',
  DATA_SPILL_BYTES_MAX: 'tests/contract/dataset-limits.test.ts',
  DATA_RESULT_BYTES_MAX: 'tests/contract/dataset-limits.test.ts',
  DATA_QUERY_TIMEOUT_MS: 'tests/contract/dataset-limits.test.ts',
  DATA_JOBS_MAX: 'tests/contract/pipeline-limits.test.ts',
  DATA_JOB_TIMEOUT_MS: 'tests/contract/pipeline-limits.test.ts',
  DATA_EXPORT_TIMEOUT_MS: 'tests/contract/dataset-limits.test.ts',
  PREDICT_BATCH_ROWS_MAX: 'tests/contract/limits.test.ts',
  PREDICT_STREAM_BYTES_MAX: 'tests/contract/row-predictions.test.ts',
  PREDICT_UNREAD_BYTES_MAX: 'src/inference/rows/spool.test.ts',
  PREDICT_UNREAD_TIMEOUT_MS: 'src/inference/rows/spool.test.ts',
  PREDICT_IN_PLACE_US_MAX: 'tests/contract/explanations.test.ts',
  PREDICTION_CACHE_TTL_SECONDS: 'tests/contract/limits.test.ts',
  STORAGE_TIMEOUT_MS: 'src/platform/storage/s3.test.ts',
  STORAGE_CACHE_BYTES_MAX: 'src/platform/storage/local-copies.test.ts',
  DRAIN_DELAY_MS: 'tests/journeys/stop.test.ts',
  DRAIN_TIMEOUT_MS: 'tests/journeys/stop.test.ts',
}

function afterOne(request: (harness: Harness) => Promise<Response>) {
  return async (harness: Harness) => {
    expect((await request(harness)).status).not.toBe(429)
    return request(harness)
  }
}

/** Of many at once, some are answered and the others refused. */
function lastRefused(times: number, request: (harness: Harness, nth: number) => Promise<Response>) {
  return async (harness: Harness) => {
    const answers = await Promise.all(
      Array.from({ length: times }, (_, nth) => request(harness, nth)),
    )
    expect(answers.filter(({ status }) => status === 200).length).toBeGreaterThan(0)
    return answers.findLast(({ status }) => status !== 200)!
  }
}

describe('beyond a limit there is a refusal that names it', () => {
  test.each(limits.map((limit) => [limit.setting, limit] as const))('%s', async (_, limit) => {
    const harness = await openHarness(limit.set)
    const response = await limit.beyond(harness)
    const text = await response.text()
    expect({ status: response.status, text }).toEqual({
      status: limit.status,
      text: expect.stringContaining(limit.says),
    })
    await harness.close()
  })

  test('every limit has its row, or its test elsewhere', async () => {
    const bounds = Object.keys(settings.shape).filter((name) =>
      /_MAX$|_MS$|_SECONDS$|^RATE_LIMIT_/.test(name),
    )
    const tested = [...limits.map(({ setting }) => setting), ...Object.keys(elsewhere)]
    expect([...new Set(tested)].toSorted()).toEqual(bounds.toSorted())
    for (const [name, file] of Object.entries(elsewhere)) {
      const text = await Bun.file(join(import.meta.dir, '../..', file)).text()
      // A driver is handed its bounds under names of its own.
      expect(text.includes(name) || file.startsWith('src/platform/')).toBe(true)
    }
  })
})

test('PREDICT_BATCH_ROWS_MAX is the most that goes to a model at once', async () => {
  const harness = await openHarness({ PREDICT_BATCH_ROWS_MAX: '4' })
  await post(harness, PREDICT, points(10))
  const metrics = await scrape(harness)
  expect(metrics).toContain('prediction_batch_rows_count{model="classification",version="1"} 3\n')
  expect(metrics).toContain('prediction_batch_rows_sum{model="classification",version="1"} 10\n')
  await harness.close()
})

test('PREDICTION_CACHE_TTL_SECONDS is how long a prediction is remembered', async () => {
  const harness = await openHarness({ MODELS_DIR, PREDICTION_CACHE_TTL_SECONDS: '10' })
  const { manifest } = {
    manifest: await Bun.file(join(MODELS_DIR, 'regression/1/manifest.json')).json(),
  }
  const body = { model_type: 'regression', features: manifest.example }
  for (const seconds of [0, 9, 2]) {
    harness.clock.advance(seconds * 1000)
    expect((await post(harness, PREDICT, body)).status).toBe(200)
  }
  const metrics = await scrape(harness)
  const lookups = (result: string) =>
    `prediction_cache_total{model="regression",version="1",result="${result}"}`
  expect(metrics).toContain(`${lookups('hit')} 1\n`)
  expect(metrics).toContain(`${lookups('miss')} 2\n`)
  await harness.close()
})
