import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { existsSync, rmSync } from 'node:fs'
import { join } from 'node:path'

import { newDirectory, startServer, type TestServer } from '../support/server.ts'

const ROOT = join(import.meta.dir, '..', '..')
const PYTHON = join(ROOT, '.tools', 'python-models', 'bin', 'python')
const TIMEOUT_MS = 180_000

let server: TestServer
let token: string
const folder = newDirectory()
beforeAll(async () => {
  server = await startServer()
  token = await server.logIn()
})
afterAll(async () => {
  await server.stop()
  rmSync(folder, { recursive: true, force: true })
})

/** Rows or columns as a caller has them, and what the library itself says of each row. */
interface Exported {
  version: number
  rows: unknown
  predictions: (number | number[])[]
}

async function run(command: string[], environment: Record<string, string> = {}) {
  const child = Bun.spawn(command, {
    cwd: ROOT,
    env: { ...process.env, ...environment },
    stdout: 'pipe',
    stderr: 'pipe',
  })
  const [output, errors, code] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ])
  expect({ code, errors: code === 0 ? '' : errors }).toEqual({ code: 0, errors: '' })
  return { output, errors }
}

/** What the server says of the rows: a number each, or the probabilities of the classes in their order. */
async function predicted(name: string, rows: unknown): Promise<number[][]> {
  const response = await server.post('/api/v1/predict', { model_type: name, features: rows }, token)
  const answer = (await response.json()) as {
    predictions: (number | number[])[]
    probabilities?: Record<string, number>[]
  }
  expect({ name, status: response.status, ...(response.ok ? {} : answer) }).toEqual({
    name,
    status: 200,
  })
  const { classes } = await card(name)
  return (answer.probabilities ?? answer.predictions).map((said) => {
    if (typeof said !== 'object') return [said]
    return Array.isArray(said) ? said : classes!.map((each) => said[each]!)
  })
}

async function card(name: string) {
  const response = await fetch(`${server.url}/api/v1/models/${name}`, {
    headers: { authorization: `Bearer ${token}` },
  })
  return (await response.json()) as { classes?: string[]; [member: string]: unknown }
}

/** Of two classes a library may say the probability of the second alone. */
const widened = (said: number | number[], width: number) =>
  Array.isArray(said) ? said : width === 2 ? [1 - said, said] : [said]

async function expectParity(all: Record<string, Exported>, tolerance: number) {
  for (const [name, { version, rows, predictions }] of Object.entries(all)) {
    expect({ name, version }).toEqual({ name, version: 1 })
    const got = await predicted(name, rows)
    expect(got.length).toBe(predictions.length)
    for (const [at, values] of got.entries()) {
      const expected = widened(predictions[at]!, values.length)
      const off = values.map((value, of) => Math.abs(value - expected[of]!))
      const isClose = off.every(
        (each, of) => each <= tolerance * Math.max(1, Math.abs(values[of]!)),
      )
      expect({ name, at, values, expected, isClose }).toMatchObject({ isClose: true })
    }
    expect(new Set(got.map(String)).size).toBeGreaterThan(5)
  }
}

/** Runs where what it needs is there. In CI it must be. */
function testWith(what: string, isThere: boolean, name: string, body: () => Promise<void>): void {
  if (isThere || process.env['CI'] === 'true') return test(name, body, TIMEOUT_MS)
  process.stderr.write(`Skipped: ${name}, since there is no ${what}.\n`)
  return test.skip(name, body)
}

describe('export.py', () => {
  testWith('.tools/python-models', existsSync(PYTHON), 'takes models as they are', async () => {
    const script = join(import.meta.dir, 'export_models.py')
    const { output } = await run([PYTHON, script, server.url, token, folder])
    const lines = output.trim().split('\n')
    const { refused, again, rounds, ...models } = JSON.parse(lines.pop()!) as Record<
      string,
      Exported
    > & {
      refused: Record<string, string>
      again: number[]
      rounds: Record<string, [best: number, all: number]>
    }
    await expectParity(models, 1e-6)
    // Otherwise nothing was shown of early stopping.
    for (const [best, all] of Object.values(rounds)) expect(best).toBeLessThan(all)

    expect((await card('lightgbm-booster'))['inputs']).toMatchObject([
      { name: 'plan', type: 'category', categories: ['pro', 'basic', 'plus', 'sold out'] },
      { name: 'city', type: 'category', categories: ['Oslo', '“Rome”', 'Køln'] },
      { name: 'floors', type: 'category', categories: ['5', '1', '2'] },
      { name: 'age_in_years', type: 'number' },
      { name: 'is_new', type: 'number' },
    ])
    expect(await card('lightgbm-classes')).toMatchObject({
      classes: ['leaves', 'stays', 'wavers'],
      metrics: { auc: 0.9 },
    })
    expect(await card('lightgbm-matrix')).toMatchObject({ classes: ['false', 'true'] })
    expect(await card('sklearn-pipeline')).toMatchObject({
      title: 'Scaled and encoded',
      classes: ['leaves', 'stays', 'wavers'],
      inputs: [
        { name: 'plan', categories: ['pro', 'basic', 'plus', 'sold out'] },
        { name: 'age in years', type: 'number' },
        { name: 'is_new', type: 'number' },
        { name: 'city', categories: ['Køln', 'Oslo', '“Rome”'] },
      ],
    })
    expect(again).toEqual([1, 1])
    expect(refused).toEqual({
      'by the server': expect.stringMatching(
        /^Refused model \(422\)\n(?=[^]*#\/manifest\/classes: )(?=[^]*#\/manifest\/metrics\/auc: )/,
      ),
      'without a token': 'Nobody is signed in: give a token, or set QUINTET_TOKEN.',
      'with a wrong token': expect.stringMatching(/\(401\)\n.+/),
      'what gives no probabilities': expect.stringContaining('LinearSVC has no predict_proba'),
      'what is no model': 'str is no model of LightGBM, XGBoost or scikit-learn',
      'what is a time': 'the column "when" is neither numbers nor categories, but datetime64[us]',
    })

    const curl = lines.find((line) => line.startsWith('curl '))!
    const sent = await run(['sh', '-euc', `${curl} -s`], {
      QUINTET_URL: server.url,
      QUINTET_TOKEN: token,
    })
    expect(JSON.parse(sent.output)).toMatchObject({ version: 1, examples: 200 })
  })
})

describe('export.R', () => {
  const hasClient = Bun.spawnSync(['sh', '-c', "Rscript -e 'library(httr2)'"], { stderr: 'ignore' })
  testWith('R with httr2', hasClient.success, 'takes models as they are', async () => {
    const script = join(import.meta.dir, 'export_models.R')
    const { output } = await run(['Rscript', script, server.url, token])
    const { stood_in, models, rounds, refused } = JSON.parse(output) as {
      stood_in: string[]
      models: Record<string, Exported>
      rounds: Record<string, [best: number, all: number]>
      refused: Record<string, string>
    }
    for (const library of stood_in) {
      process.stderr.write(
        `R has no ${library} here: a file that it saved elsewhere and a stand-in were exported.\n`,
      )
    }
    await expectParity(models, 1e-6)
    for (const [best, all] of Object.values(rounds)) expect(best).toBeLessThan(all)

    expect(await card('r-lightgbm-train')).toMatchObject({ title: 'By R', metrics: { rmse: 0.5 } })
    expect((await card('r-xgboost-labels')).classes).toEqual(['stays', 'leaves', 'wavers'])
    if (!stood_in.includes('lightgbm')) {
      expect((await card('r-lightgbm-train'))['inputs']).toMatchObject([
        { name: 'plan', categories: ['sold out', 'pro', 'plus', 'basic'], codes: [1, 2, 3, 4] },
        { name: 'city', categories: ['sold out', 'Oslo', '“Rome”', 'Køln'], codes: [1, 2, 3, 4] },
        { name: 'age', type: 'number' },
        { name: 'visits', type: 'number' },
        { name: 'size', categories: ['S', 'M', 'L'], codes: [1, 2, 3] },
      ])
      const { classes } = await card('r-lightgbm-classes')
      expect(classes).toEqual(['stays', 'leaves', 'wavers'])
    }
    expect(refused).toEqual({
      'what becomes of missing': expect.stringMatching(
        /^The column "\w+" has missing values that to_matrix makes 0 of: /,
      ),
      'by the server': expect.stringMatching(
        /^Refused model \(422\)\n#\/manifest\/metrics\/rmse: /,
      ),
      'without a token': 'Nobody is signed in: give a token, or set QUINTET_TOKEN.',
      text: expect.stringMatching(/^The column "\w+" is text, whose codes depend on the rows: /),
      times: expect.stringMatching(
        /^The column "\w+" is neither numbers nor a factor, but Date\.$/,
      ),
    })
  })
})
