import { afterEach, expect, test } from 'bun:test'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'

import { type Harness, openHarness } from '../support/harness.ts'
import { POISON } from '../support/poison.ts'
import { until } from '../support/until.ts'

const MODEL = 'classification'

let harness: Harness
afterEach(() => harness.close())

const ask = (path: string, body: unknown, headers?: Record<string, string>) =>
  harness.request({ path, body, headers, token: harness.adminToken })

/** Copies of model files that threads may still need. */
const copies = () =>
  readdirSync(join(harness.platform.config.DATA_DIR, 'files', '@partial')).filter((name) =>
    name.endsWith('.onnx'),
  ).length

test.each(['application/x-ndjson', 'application/json'])(
  'an answer in %s that comes when its time is over holds no model back',
  async (mediaType) => {
    const workerScript = new URL('../support/unsound-worker.fixture.ts', import.meta.url)
    harness = await openHarness({ REQUEST_TIMEOUT_MS: '100' }, { workerScript })
    const row = { x1: POISON.hangs, x2: 1 }
    const body = JSON.stringify(mediaType === 'application/json' ? [row] : row)
    const late = await ask(`/api/v1/models/${MODEL}/predict`, body, { 'content-type': mediaType })
    expect(late.status).toBe(504)
    expect(copies()).toBe(1)
    await until(async () => {
      const features = [{ x1: 1, x2: 1 }]
      return (await ask('/api/v1/predict', { model_type: MODEL, features })).status === 200
    })
    expect((await ask(`/v2/repository/models/${MODEL}/unload`, {})).status).toBe(200)
    await until(() => copies() === 0)
  },
)
