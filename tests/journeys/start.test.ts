import { afterAll, describe, expect, test } from 'bun:test'
import { cpSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

import { FIXTURE_MODELS_DIR } from '../support/harness.ts'
import { newDirectory, runServer, startServer } from '../support/server.ts'

const directory = newDirectory()
afterAll(() => rmSync(directory, { recursive: true, force: true }))

describe('it refuses to start, with a sentence that says what to do', () => {
  async function expectRefusal(settings: Record<string, string>, ...sentences: string[]) {
    const { code, output, errors } = await runServer({
      PORT: '0',
      DATA_DIR: directory,
      ...settings,
    })
    expect({ code, output, errors }).toEqual({ code: 1, output: '', errors: expect.any(String) })
    for (const sentence of sentences) expect(errors).toContain(sentence)
    expect(errors).not.toMatch(/\n\s+at /)
  }

  test('on bad settings, all of them at once, without their values', async () => {
    const settings = {
      PORT: '99999',
      JWT_SECRET: 'hunter2',
      CORS_ORIGINS: '*',
      ANONYMOUS_SCOPES: 'predict fly',
    }
    await expectRefusal(
      settings,
      'PORT:',
      'JWT_SECRET: expected at least 32 bytes',
      'CORS_ORIGINS:',
      'ANONYMOUS_SCOPES: expected some of predict, ',
      'not fly',
    )
    const { errors } = await runServer(settings)
    expect(errors).not.toContain('hunter2')
  })

  test('on a DATA_DIR that can not be written', async () => {
    const file = join(directory, 'a-file')
    writeFileSync(file, '')
    await expectRefusal({ DATA_DIR: join(file, 'data') }, 'Make it writable', 'DATA_DIR')
  })

  test('on a file that is no database', async () => {
    const data = join(directory, 'no-database')
    mkdirSync(data)
    writeFileSync(join(data, 'quintet.db'), crypto.getRandomValues(new Uint8Array(8192)))
    await expectRefusal({ DATA_DIR: data }, 'quintet.db is no SQLite database', 'DATA_DIR')
  })

  test('on an object storage that is away, or half described', async () => {
    const s3 = { S3_BUCKET: 'files', S3_ACCESS_KEY_ID: 'id', S3_SECRET_ACCESS_KEY: 'hunter2' }
    await expectRefusal(
      { ...s3, S3_ENDPOINT: 'http://127.0.0.1:9' },
      "The object storage at http://127.0.0.1:9 can't be used",
      'Check S3_ENDPOINT',
    )
    await expectRefusal(
      { ...s3, S3_ACCESS_KEY_ID: '' },
      'S3_ACCESS_KEY_ID: expected a value, since S3_BUCKET is set',
    )
  })

  test('on a key to signed addresses that is damaged', async () => {
    const data = join(directory, 'damaged-key')
    mkdirSync(data)
    writeFileSync(join(data, 'files.key'), 'short')
    await expectRefusal({ DATA_DIR: data }, 'files.key is damaged', 'Remove it')
  })

  test('on a port that is taken', async () => {
    const first = await startServer({ MODELS_DIR: FIXTURE_MODELS_DIR })
    const { port } = new URL(first.url)
    await expectRefusal({ PORT: port }, `Port ${port} on 127.0.0.1 is taken`, 'set PORT')
    await first.stop()
  })

  test('on a manifest that does not match its model, naming the file', async () => {
    const models = join(directory, 'models')
    cpSync(FIXTURE_MODELS_DIR, models, { recursive: true })
    const path = join(models, 'classification', '1', 'manifest.json')
    const manifest = (await Bun.file(path).json()) as { inputs: unknown[]; example: object }
    manifest.inputs.push({ name: 'x3', type: 'number' })
    manifest.example = { ...manifest.example, x3: 1 }
    writeFileSync(path, JSON.stringify(manifest))
    const file = join(models, 'classification', '1', 'model.onnx')
    await expectRefusal({ MODELS_DIR: models }, file, 'the manifest has 3 columns')
  })

  test('on a file that is no model', async () => {
    const models = join(directory, 'garbage')
    cpSync(FIXTURE_MODELS_DIR, models, { recursive: true })
    const file = join(models, 'classification', '1', 'model.onnx')
    writeFileSync(file, 'garbage')
    await expectRefusal({ MODELS_DIR: models }, file)
  })

  test('on a database that a newer version wrote', async () => {
    const data = join(directory, 'newer')
    mkdirSync(data)
    expect(
      await (await startServer({ DATA_DIR: data, MODELS_DIR: FIXTURE_MODELS_DIR })).stop(),
    ).toBe(0)
    const { Database } = await import('bun:sqlite')
    const database = new Database(join(data, 'quintet.db'))
    database.run("insert into schema_migrations (hash, created_at) values ('later', 9999999999999)")
    database.close()
    await expectRefusal({ DATA_DIR: data }, 'written by a newer version', 'Start that version')
  })
})

test('the first start prints a random password once, and not in the log', async () => {
  const server = await startServer({
    ADMIN_PASSWORD: '',
    ADMIN_USERNAME: 'root',
    DATA_DIR: join(directory, 'fresh'),
  })
  const password = /Password: +(\S+)/.exec(server.errors())![1]!
  expect(server.errors()).toContain('Administrator: root')
  expect((await server.logIn('root', password)).length).toBeGreaterThan(100)
  await server.stop()
})

test('a port that links do not lead to is warned of, until PUBLIC_URL says where they lead', async () => {
  const free = Bun.serve({ port: 0, fetch: () => new Response() })
  const port = String(free.port)
  await free.stop(true)
  const warned = async (settings: Record<string, string>) => {
    const server = await startServer({ PORT: port, ...settings })
    const warnings = server.warnings().map(({ message }) => String(message))
    await server.stop()
    return warnings.filter((message) => message.includes('PUBLIC_URL'))
  }
  expect(await warned({})).toEqual([
    `links, passkeys and sign-in are for http://localhost:8080, and the server listens on port ${port}: set PUBLIC_URL to the address at which people find it`,
  ])
  expect(await warned({ PUBLIC_URL: `http://localhost:${port}` })).toEqual([])
  expect(await warned({ PUBLIC_URL: 'https://api.example.com' })).toEqual([])
  expect(await warned({ PORT: '0' })).toEqual([])
})
