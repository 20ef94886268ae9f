import { afterAll, beforeAll, expect, test } from 'bun:test'
import { join } from 'node:path'

import expected from '../fixtures/parquet/expected.json' with { type: 'json' }
import { type Harness, openHarness } from '../support/harness.ts'

const FOLDER = join(import.meta.dir, '../fixtures/parquet')

let harness: Harness
let token: string
beforeAll(async () => {
  harness = await openHarness()
  await harness.addAccount({ username: 'ada', role: 'editor' })
  token = await harness.logIn('ada')
})
afterAll(() => harness.close())

/** Written by pyarrow, pandas, fastparquet and polars: `make.py` beside them says how, and what is in them. */
test.each(Object.entries(expected))('%s is taken as it is', async (file, { rows, first, last }) => {
  const name = file.replaceAll('.', '-')
  const uploaded = await harness.request({
    path: `/api/v1/datasets?name=${name}`,
    body: Bun.file(join(FOLDER, file)).stream(),
    headers: { 'content-type': 'application/vnd.apache.parquet' },
    token,
  })
  const version = (await uploaded.json()) as Record<string, unknown>
  expect({ status: uploaded.status, version }).toMatchObject({ status: 201, version: { rows } })
  const exported = await harness.request({ path: `/api/v1/datasets/${name}/export.json`, token })
  const data = (await exported.json()) as unknown[]
  expect(data.length).toBe(rows)
  expect(data[0]).toEqual(first)
  expect(data.at(-1)).toEqual(last)
})
