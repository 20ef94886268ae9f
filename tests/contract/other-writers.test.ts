import { afterAll, beforeAll, expect, test } from 'bun:test'
import { join } from 'node:path'

import ofArrow from '../fixtures/arrow/expected.json' with { type: 'json' }
import ofParquet from '../fixtures/parquet/expected.json' with { type: 'json' }
import { type Harness, openHarness } from '../support/harness.ts'

let harness: Harness
let token: string
beforeAll(async () => {
  harness = await openHarness()
  await harness.addAccount({ username: 'ada', role: 'editor' })
  token = await harness.logIn('ada')
})
afterAll(() => harness.close())

const nameOf = (file: string) => file.replaceAll('.', '-')

interface Expected {
  rows: number
  first: unknown
  last: unknown
}
const files: Record<string, Record<string, Expected>> = { parquet: ofParquet, arrow: ofArrow }
const rows = Object.entries(files).flatMap(([format, each]) =>
  Object.entries(each).map(([file, expected]) => [`${format}/${file}`, expected] as const),
)

/** Of what does not begin as others of its kind do; those are known by it, whatever they are called. */
const mediaTypes: Record<string, string> = {
  'pyarrow-old.arrows': 'application/vnd.apache.arrow.stream',
}

/** Written by pyarrow, pandas, fastparquet and polars: `make.py` beside them says how, and what is in them. */
test.each(rows)('%s is taken as it is', async (path, { rows: count, first, last }) => {
  const file = path.split('/')[1]!
  const uploaded = await harness.request({
    path: `/api/v1/datasets?name=${nameOf(file)}`,
    body: Bun.file(join(import.meta.dir, '../fixtures', path)).stream(),
    headers: { 'content-type': mediaTypes[file] ?? 'application/octet-stream' },
    token,
  })
  const version = (await uploaded.json()) as Record<string, unknown>
  expect({ status: uploaded.status, version }).toMatchObject({
    status: 201,
    version: { rows: count },
  })
  const exported = await harness.request({
    path: `/api/v1/datasets/${nameOf(file)}/export.json`,
    token,
  })
  const data = (await exported.json()) as unknown[]
  expect(data.length).toBe(count)
  expect(data[0]).toEqual(first)
  expect(data.at(-1)).toEqual(last)
})

const refused: [file: string, detail: RegExp][] = [
  ['deltas.arrows', /dictionary of it comes in parts/],
  ['first.feather', /Feather of the first version/],
  ['union.arrow', /Column "union" has the type Union/],
  ['runs.arrow', /Column "runs" has the type RunEndEncoded/],
  ['digits.arrow', /Column "digits" has decimals of more than 38 digits/],
  ['utf8.arrow', /Column "text" has text that is not valid UTF-8/],
  ['months.arrow', /negative intervals/],
  ['names.arrow', /two columns of one name/],
]

test.each(refused)('%s is refused in words', async (file, detail) => {
  const answer = await harness.request({
    path: `/api/v1/datasets?name=refused-${nameOf(file)}`,
    body: Bun.file(join(import.meta.dir, `../fixtures/arrow/refused-${file}`)).stream(),
    headers: { 'content-type': 'application/vnd.apache.arrow.file' },
    token,
  })
  expect({ status: answer.status, problem: await answer.json() }).toMatchObject({
    status: 422,
    problem: { detail: expect.stringMatching(detail) },
  })
})
