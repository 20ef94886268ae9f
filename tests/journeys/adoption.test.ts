import { afterAll, afterEach, beforeEach, expect, test } from 'bun:test'
import { cpSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'

import { openApp } from '../../src/app.ts'
import { parseConfig } from '../../src/platform/config.ts'
import { openLog } from '../../src/platform/log.ts'
import { openPlatform } from '../../src/platform/platform.ts'
import { FIXTURE_MODELS_DIR, type Harness, openHarness } from '../support/harness.ts'
import { newDirectory } from '../support/server.ts'

const MODEL = 'classification'
const PATH = `/api/v1/models/${MODEL}`

/** The folder that outlives the servers, and one of models that may be changed. */
let directory: string
let models: string
const directories: string[] = []
beforeEach(() => {
  directory = newDirectory()
  models = join(directory, 'models')
  directories.push(directory)
  cpSync(FIXTURE_MODELS_DIR, models, { recursive: true })
})
let harness: Harness | undefined
afterEach(() => harness?.close())
afterAll(() => {
  for (const each of directories) rmSync(each, { recursive: true })
})

async function restart(settings: Record<string, string> = {}): Promise<Harness> {
  await harness?.close()
  harness = await openHarness({ DATA_DIR: directory, MODELS_DIR: models, ...settings })
  return harness
}

const card = async () => {
  const response = await harness!.request({ path: PATH, token: harness!.adminToken })
  return { status: response.status, body: await response.json() } as {
    status: number
    body: { owner: unknown; versions: { version: number }[] }
  }
}
const versions = async () => (await card()).body.versions.map(({ version }) => version)
const files = async () => (await harness!.platform.storage.list({ prefix: 'models/' })).files.length

async function remove(): Promise<void> {
  const by = { token: harness!.adminToken }
  await harness!.request({ path: `/v2/repository/models/${MODEL}/unload`, body: {}, ...by })
  expect((await harness!.request({ method: 'DELETE', path: PATH, ...by })).status).toBe(204)
}

async function changeManifest(changes: object, version = '1'): Promise<void> {
  const path = join(models, MODEL, version, 'manifest.json')
  const manifest = (await Bun.file(path).json()) as object
  await Bun.write(path, JSON.stringify({ ...manifest, ...changes }))
}

test('what lies in the folder of models becomes the administrator’s, for the team to read', async () => {
  const { addAccount, logIn, request } = await restart()
  expect(await card()).toMatchObject({
    status: 200,
    body: { owner: { kind: 'user', name: 'admin' }, versions: [{ version: 1, is_loaded: true }] },
  })
  await addAccount({ username: 'reader', role: 'editor' })
  const token = await logIn('reader')
  const body = { model_type: MODEL, features: [{ x1: 1, x2: 2 }] }
  expect((await request({ path: '/api/v1/predict', body, token })).status).toBe(200)
  const unload = `/v2/repository/models/${MODEL}/unload`
  expect((await request({ path: unload, body: {}, token })).status).toBe(403)
})

test('it does so once, and stays removed', async () => {
  await restart()
  await restart()
  expect([await versions(), await files()]).toEqual([[1], 1])
  await remove()
  await restart()
  expect([(await card()).status, await files()]).toEqual([404, 0])
})

test('what was changed in place becomes the next version, and a number of its own is kept', async () => {
  await restart()
  await changeManifest({ title: 'Anew' })
  await restart()
  expect([await versions(), await files()]).toEqual([[1, 2], 2])
  renameSync(join(models, MODEL, '1'), join(models, MODEL, '7'))
  await changeManifest({ version: '7', title: 'Once more' }, '7')
  await restart()
  expect([await versions(), await files()]).toEqual([[1, 2, 7], 3])
  const body = { model_type: MODEL, features: [{ x1: 1, x2: 2 }] }
  const answer = await harness!.request({
    path: '/api/v1/predict',
    body,
    token: harness!.adminToken,
  })
  expect(await answer.json()).toMatchObject({ model_version: '7' })
})

test('no limit of uploads keeps the server from starting', async () => {
  await restart({ MODELS_PER_OWNER_BYTES_MAX: '1' })
  expect(await versions()).toEqual([1])
})

test('who removes what another process has adopted since it looked has removed it', async () => {
  const config = parseConfig({ DATA_DIR: directory, MODELS_DIR: models, WORKERS: '1' })
  const platform = await openPlatform(config, openLog(config, { write: () => {} }).log)
  const late = await openApp(platform)
  await restart()
  await remove()
  await late.start()
  expect([(await card()).status, await files()]).toEqual([404, 0])
  await late.stop(0)
  await platform.close()
})
