import { afterEach, expect, test } from 'bun:test'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'

import { type Harness, openHarness } from '../support/harness.ts'
import { treeFixture, upload } from '../support/uploads.ts'

const { file } = await treeFixture('lightgbm-binary')

let harness: Harness
const open = async (settings: Record<string, string>) => (harness = await openHarness(settings))
afterEach(() => harness.close())

const add = (name: string) => upload(harness, { model: file, manifest: { name } })

test('MODEL_ADMISSION_TIMEOUT_MS is how long a model may take to load and to run once', async () => {
  await open({ MODEL_ADMISSION_TIMEOUT_MS: '5' })
  const { status, body } = await add('slow')
  expect(status).toBe(422)
  expect(body['detail']).toBe(
    '#/model: The file took longer than 0.005 seconds to load and to run once.',
  )
})

test('MODEL_ADMISSION_MEMORY_BYTES_MAX is what it may take for that, and no more harm comes of it', async () => {
  await open({ MODEL_ADMISSION_MEMORY_BYTES_MAX: String(512 * 1024 * 1024) })
  expect(await add('small')).toMatchObject({ status: 201 })
  // Thirty million lists take several times the space of their text.
  const lists = Buffer.alloc(90_000_000, '[],')
  const large = Buffer.concat([Buffer.from('{"learner":['), lists, Buffer.from('0]}')])
  const { status, body } = await upload(harness, { model: large, manifest: { name: 'large' } })
  expect(status).toBe(422)
  expect(body['detail']).toMatch(/more than 512 MiB of memory/)
  // Small, and makes some gigabytes out of nothing once it is run.
  const boundless = await Bun.file(
    join(import.meta.dir, '../fixtures/onnx/hostile/gigabytes-at-run-time.onnx'),
  ).bytes()
  const refused = await upload(harness, { model: boundless, manifest: { name: 'boundless' } })
  expect(refused).toMatchObject({
    status: 422,
    body: { detail: expect.stringMatching(/more than 512 MiB of memory/) },
  })
  expect(await add('next')).toMatchObject({ status: 201 })
})

test('MODEL_ADMISSIONS_MAX wait to be tried; those beyond come again later', async () => {
  await open({ MODEL_ADMISSIONS_MAX: '2' })
  const answers = await Promise.all(['a', 'b', 'c', 'd'].map(add))
  const statuses = answers.map(({ status }) => status).toSorted((a, b) => a - b)
  expect(statuses).toEqual([201, 201, 503, 503])
  expect(answers.find(({ status }) => status === 503)?.body).toMatchObject({
    detail: '2 uploads are waiting to be tried.',
  })
  expect(await add('e')).toMatchObject({ status: 201 })
  expect(readdirSync(join(harness.platform.config.DATA_DIR, 'uploads'))).toEqual([])
})
