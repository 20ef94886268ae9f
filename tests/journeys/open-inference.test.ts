import { afterAll, beforeAll, expect, test } from 'bun:test'
import { join } from 'node:path'

import { FIXTURE_MODELS_DIR } from '../support/harness.ts'
import { startServer, type TestServer } from '../support/server.ts'

const SCRIPT = join(import.meta.dir, 'triton_client.py')

let server: TestServer
beforeAll(async () => {
  server = await startServer({ MODELS_DIR: FIXTURE_MODELS_DIR })
})
afterAll(() => server.stop())

const hasClient = () =>
  Bun.spawnSync(['python3', '-c', 'import tritonclient.http'], { stderr: 'ignore' }).success

test('NVIDIA’s client for Triton, which others wrote, is answered in every form', async () => {
  if (!hasClient()) {
    if (process.env['CI'] === 'true')
      throw new Error('in CI no test may be skipped: no tritonclient')
    process.stderr.write('Skipped: the client of Triton, which is not on this machine.\n')
    return
  }
  const address = new URL(server.url).host
  const child = Bun.spawn(['python3', SCRIPT, address, await server.logIn()], {
    stdout: 'pipe',
    stderr: 'pipe',
  })
  const [output, errors] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ])
  expect({ code: await child.exited, errors }).toEqual({ code: 0, errors: expect.any(String) })
  const said = JSON.parse(output) as Record<string, unknown>
  expect(said).toMatchObject({
    live: true,
    ready: true,
    model_ready: true,
    server: 'quintet',
    inputs: ['x1', 'x2'],
    index: [{ name: 'classification', version: '1', state: 'READY', reason: '' }],
    json: { class: ['negative', 'positive'] },
    class_json: { class: ['negative', 'positive'] },
    class_binary: { class: ['negative', 'positive'] },
    top: {
      class: [expect.stringMatching(/^0\.\d+:0:negative$/), expect.stringMatching(/:1:positive$/)],
    },
    counted: 9,
    unloaded: [false, true],
    loaded: [true],
    configured: ['400', expect.stringContaining('config')],
    refused: [
      ['400', expect.stringContaining('x2')],
      ['404', expect.stringContaining('no model "nothing"')],
      ['400', expect.stringContaining('x1')],
    ],
  })
  for (const form of ['binary', 'mixed', 'float32', 'integers', 'matrix']) {
    expect(said[form]).toEqual(said['json'])
  }
})
