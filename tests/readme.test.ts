import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { existsSync, rmSync } from 'node:fs'
import { join } from 'node:path'

import { README, withSettingsTable } from '../scripts/settings.ts'
import { PASSWORD } from './support/harness.ts'
import { bareEnvironment, newDirectory } from './support/server.ts'

const ROOT = join(import.meta.dir, '..')
const SERVE = 'scripts/serve'
const PYTHON_FOR_MODELS = join(ROOT, '.tools/python-models/bin/python')
const readme = await Bun.file(README).text()
const blocks = [...readme.matchAll(/^```(sh|r|python)\n([\s\S]*?)^```$/gm)].map(
  ([, language, code]) => ({ language: language!, code: code! }),
)
const blocksOf = (language: string) => blocks.filter((block) => block.language === language)

const directory = newDirectory()
const environment = bareEnvironment({ DATA_DIR: directory, ADMIN_PASSWORD: PASSWORD })
let server: Bun.Subprocess

/** The README speaks of port 8080, so the server must stand there. */
beforeAll(async () => {
  server = Bun.spawn([SERVE], { cwd: ROOT, env: environment, stdout: 'ignore', stderr: 'pipe' })
  for (let attempt = 0; attempt < 100 && server.exitCode === null; attempt++) {
    const response = await fetch('http://localhost:8080/readyz').catch(() => undefined)
    if (response?.ok === true && server.exitCode === null) return
    await Bun.sleep(100)
  }
  throw new Error(
    `the server did not start: ${await new Response(server.stderr as ReadableStream).text()}`,
  )
}, 60_000)
afterAll(async () => {
  server.kill()
  await server.exited
  rmSync(directory, { recursive: true, force: true })
})

/** What the operator would have put where the program finds it. */
async function program(): Promise<Record<string, string>> {
  const send = async (path: string, body: object, token = '') => {
    const response = await fetch(`http://localhost:8080/api/v1/${path}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${token}` },
      body: JSON.stringify(body),
    })
    return (await response.json()) as { token: string; id: string; key: string }
  }
  const { token } = await send('auth/login', { username: 'admin', password: PASSWORD })
  const scopes = { name: Bun.randomUUIDv7(), scopes: ['models:read'] }
  const { id } = await send('service-accounts', scopes, token)
  const { key } = await send(`service-accounts/${id}/api-keys`, scopes, token)
  return { QUINTET_ID: id, QUINTET_KEY: key }
}

async function run(command: string[], input: string, further: Record<string, string> = {}) {
  const child = Bun.spawn(command, {
    cwd: ROOT,
    env: { ...environment, ...further },
    stdin: new Blob([input]),
    stdout: 'pipe',
    stderr: 'pipe',
  })
  const [output, errors, code] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ])
  expect({ code, errors }).toEqual({ code: 0, errors: expect.any(String) })
  return { output, errors }
}

/** Runs where the language is there. In CI it must be. */
function testWith(program: string, name: string, body: () => Promise<void>): void {
  if (Bun.which(program) !== null || process.env['CI'] === 'true') return test(name, body)
  process.stderr.write(`skipped: ${name}, since there is no ${program}\n`)
  return test.skip(name, body)
}

test('it begins with the one command', () => {
  expect(blocks[0]).toEqual({ language: 'sh', code: `${SERVE}\n` })
})

test('the shell lines work as they stand', async () => {
  const script = blocksOf('sh')
    .filter(({ code }) => code !== `${SERVE}\n`)
    .map(({ code }) => code)
  const { output } = await run(['sh', '-eu'], script.join('\n'))
  const [, shown] = /^### Forecasts$[\s\S]*?^```json\n([\s\S]*?)^```$/m.exec(readme)!
  const answers = output
    .split(/(?<=\})\s*(?=\{)/)
    .map((text) => JSON.parse(text) as Record<string, unknown>)
  expect(answers).toMatchObject([
    { models: [{ name: 'classification' }, { name: 'forecast' }, { name: 'regression' }] },
    { predictions: ['Adelie', 'Gentoo'] },
    { predictions: [expect.any(Number)] },
    { predictions: [[expect.any(Number), expect.any(Number), expect.any(Number)]] },
    { username: 'ada', role: 'viewer' },
    { token: expect.any(String), user: { username: 'ada' } },
    { users: [{ username: 'grace', outcome: 'created' }] },
    { kind: 'model', team: 'none', principals: [{ name: 'ada', access: 'read' }] },
    { id: 'regression', team: 'none', principals: [{ name: 'ada' }] },
    { entries: [{ type: 'auth.login', subject: { id: expect.any(String) } }] },
    { token: expect.any(String), refresh_token: expect.any(String), expires_in: 900 },
    { type: 'predictions.batch', state: expect.stringMatching(/^(ready|active|done)$/) },
    { models: expect.any(Array) },
    { models: expect.any(Array) },
    { access_token: expect.any(String), expires_in: 3600, scope: 'models:read' },
    { version: 1, format: 'lightgbm', is_loaded: true },
    { version: 2, format: 'lightgbm', is_loaded: true },
    { split: [{ version: 1 }, { version: 2, weight: 10 }] },
    { name: 'diamonds', owner: { name: 'admin' }, versions: [{ version: 1 }, { version: 2 }] },
    { ...(JSON.parse(shown!) as object), timestamp: expect.any(String) },
    { id: '7', carat: '0.31', price: expect.any(Number) },
    {
      model_name: 'forecast',
      outputs: ['co2', 'co2_lower_80', 'co2_upper_80', 'co2_lower_95', 'co2_upper_95'].map(
        (name) => ({ name, shape: [1, 24] }),
      ),
    },
    {
      predictions: [expect.any(Number)],
      explanations: [[{ contributions: { carat: expect.any(Number) } }]],
    },
    { version: 1, origin: 'upload', rows: 3, rejected_rows: 0 },
    { version: 1, rows: 2, next: expect.any(String), data: [{ shop: 'Bern' }, { shop: 'Chur' }] },
    {
      rows: 2,
      data: [
        { shop: 'Bern', revenue: 43.5 },
        { shop: 'Chur', revenue: 7 },
      ],
    },
    { rows: 2, columns: 3, sample: [{ shop: 'Bern', days: 2 }, { shop: 'Chur' }] },
    { name: 'takings', newest: { version: 1 }, endpoint: null },
    { endpoint: { cache_seconds: 60 } },
    { rows: 1, data: [{ shop: 'Bern', total: 31 }] },
  ])
})

/** Lines that fit a model of their own, for which not every machine has the library. */
const isAboutTraining = ({ code }: { code: string }) => /lightgbm|pandas/.test(code)

function linesOf(language: string, hasLibrary: boolean): string {
  if (!hasLibrary)
    process.stderr.write(`skipped: those that need LightGBM or pandas for ${language}\n`)
  return blocksOf(language)
    .filter((block) => hasLibrary || !isAboutTraining(block))
    .map(({ code }) => code)
    .join('\n')
}

testWith('Rscript', 'the R lines work as they stand', async () => {
  // R's packages come from where CI may not get them.
  const hasLibrary = Bun.spawnSync(['Rscript', '-e', 'library(lightgbm)']).success
  const { output } = await run(['Rscript', '-'], linesOf('r', hasLibrary), await program())
  for (const part of ['Diamond price', 'Adelie', 'Gentoo', '37', '$ people: int  120 80 45'])
    expect(output).toContain(part)
  if (hasLibrary) expect(output).toMatch(/^\[1\] 3\d\.\d+$/m)
})

testWith('python3', 'the Python lines work as they stand', async () => {
  const hasLibrary = existsSync(PYTHON_FOR_MODELS) || process.env['CI'] === 'true'
  const { output } = await run(
    [hasLibrary ? PYTHON_FOR_MODELS : 'python3', '-'],
    linesOf('python', hasLibrary),
    { ...(await program()), PYTHONPATH: join(ROOT, 'scripts') },
  )
  for (const part of ['Diamond price', "'Adelie': 0.9", "'Gentoo': 0.", '[[37', '\n200\n'])
    expect(output).toContain(part)
  if (hasLibrary) {
    for (const part of ["{'leaves': 0.99", 'price\n0   7', 'day       datetime64[us]'])
      expect(output).toContain(part)
  }
})

describe('what is written', () => {
  test('there are blocks in each language', () => {
    expect(['sh', 'r', 'python'].map((language) => blocksOf(language).length)).toEqual([19, 4, 5])
  })

  test('the table of settings is the schema’s (`bun scripts/settings.ts` writes it)', () => {
    expect(withSettingsTable(readme)).toBe(readme)
    expect(readme).toContain('| `RATE_LIMIT_AUTH` | `100` |')
  })

  test('every file that it names is there', async () => {
    for (const [, path] of readme.matchAll(/\]\(([^)#:]+)\)/g)) {
      const isThere = await Bun.file(join(ROOT, path!)).exists()
      const isFolder =
        (await Array.fromAsync(new Bun.Glob('*').scan(join(ROOT, path!))).catch(() => [])).length >
        0
      expect({ path, isThere: isThere || isFolder }).toEqual({ path, isThere: true })
    }
  })
})
