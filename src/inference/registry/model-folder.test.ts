import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'

import { refusal } from '../../../tests/support/refusal.ts'
import { createAuth } from '../../auth/index.ts'
import { parseConfig } from '../../platform/config.ts'
import { openLog } from '../../platform/log.ts'
import { openPlatform } from '../../platform/platform.ts'
import { StartError } from '../../platform/start-error.ts'
import { openInference } from '../index.ts'
import { readModelFolder } from './model-folder.ts'

const FIXTURE = join(
  import.meta.dir,
  '..',
  '..',
  '..',
  'tests',
  'fixtures',
  'models',
  'classification',
  '1',
)
const manifest = await Bun.file(join(FIXTURE, 'manifest.json')).json()

const { classes: _, ...common } = manifest
const forecast = {
  ...common,
  name: 'ant',
  kind: 'forecast',
  inputs: [{ name: 'history', type: 'series', length: 2 }],
  outputs: [{ name: 'future', type: 'series' }],
  horizon: { default: 1, max: 2 },
  example: { history: [1, 2] },
}

let directory: string
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'quintet-models-'))
})
afterEach(() => rmSync(directory, { recursive: true, force: true }))

/** Puts the fixture model into `<name>/<version>/`, with a manifest that says so. */
function addModel(name: string, version: string, changes: object = {}): string {
  const folder = join(directory, name, version)
  cpSync(FIXTURE, folder, { recursive: true })
  const changed = { ...manifest, name, version, ...changes }
  writeFileSync(join(folder, 'manifest.json'), JSON.stringify(changed))
  return folder
}

async function versionsRead() {
  const entries = await readModelFolder(directory)
  return entries.map(({ manifest: { name, version } }) => `${name}/${version}`)
}

describe('the models of a folder', () => {
  test('are read by name, each with its manifest and the path of its file', async () => {
    addModel('zebra', '1')
    const folder = addModel('ant', '1', { title: 'Of ants' })
    const [ant, zebra] = await readModelFolder(directory)
    expect(ant).toMatchObject({
      manifest: { name: 'ant', title: 'Of ants', classes: ['negative', 'positive'] },
      path: join(folder, 'model.onnx'),
    })
    expect(zebra?.manifest.name).toBe('zebra')
  })

  test.each([
    [['9', '10'], '10'],
    [['1.9.0', '1.10.0'], '1.10.0'],
    [['v2', 'v10', 'v1'], 'v10'],
    [['2025-12-31', '2026-01-01'], '2026-01-01'],
  ])('serve of the versions %j the last in natural order', async (versions, latest) => {
    for (const version of versions) addModel('ant', version)
    expect(await versionsRead()).toEqual([`ant/${latest}`])
  })

  test('are only read in their last version', async () => {
    addModel('ant', '2')
    mkdirSync(join(directory, 'ant', '1'))
    expect(await versionsRead()).toEqual(['ant/2'])
  })

  test('may lie behind a link', async () => {
    const elsewhere = mkdtempSync(join(tmpdir(), 'quintet-models-'))
    renameSync(addModel('ant', '1'), join(elsewhere, '1'))
    rmSync(join(directory, 'ant'), { recursive: true })
    symlinkSync(elsewhere, join(directory, 'ant'))
    expect(await versionsRead()).toEqual(['ant/1'])
    rmSync(elsewhere, { recursive: true })
  })

  test('do not include what is hidden, or no folder', async () => {
    addModel('ant', '1')
    mkdirSync(join(directory, '.git', 'objects'), { recursive: true })
    mkdirSync(join(directory, 'ant', '.cache'))
    writeFileSync(join(directory, 'README.md'), '')
    expect(await versionsRead()).toEqual(['ant/1'])
  })
})

describe('a model that can’t be read is named:', () => {
  const manifestPath = () => join(directory, 'ant', '1', 'manifest.json')
  const writeManifest = (text: string) => writeFileSync(manifestPath(), text)

  test.each<[string, () => void, () => string]>([
    [
      'no folder at all',
      () => rmSync(directory, { recursive: true }),
      () => `There is no folder ${directory}`,
    ],
    [
      'a file in place of the folder',
      () => {
        rmSync(directory, { recursive: true })
        writeFileSync(directory, '')
      },
      () => `There is no folder ${directory}`,
    ],
    [
      'no version',
      () => mkdirSync(join(directory, 'bee')),
      () => `${join(directory, 'bee')} has no folder for a version`,
    ],
    ['no manifest', () => rmSync(manifestPath()), () => `${manifestPath()} is missing or no JSON`],
    [
      'broken JSON',
      () => writeManifest('{"name": '),
      () => `${manifestPath()} is missing or no JSON`,
    ],
    [
      'JSON of something else',
      () => writeManifest('[]'),
      () => `${manifestPath()} is no model manifest`,
    ],
    [
      'a key that no manifest has',
      () => addModel('ant', '1', { outptus: [] }),
      () => 'Unrecognized key: "outptus"',
    ],
    [
      'a path outside of its folder',
      () => addModel('ant', '1', { file: '../../secret.onnx' }),
      () => '  file: expected the name of a file beside the manifest',
    ],
    [
      'classes that are the same',
      () => addModel('ant', '1', { classes: ['same', 'same'] }),
      () => '  classes: expected classes that differ',
    ],
    [
      'categories that are the same',
      () =>
        addModel('ant', '1', {
          inputs: [
            { name: 'x1', type: 'number' },
            { name: 'x2', type: 'category', categories: ['a', 'a'] },
          ],
        }),
      () => '  inputs.1.categories: expected categories that differ',
    ],
    ...(
      [
        [
          'a horizon that is longer than it may be',
          { horizon: { default: 3, max: 2 } },
          'horizon: expected a default up to max',
        ],
        [
          'a frequency that is none',
          { frequency: 'fortnight' },
          'frequency: expected a unit of time such as month',
        ],
        [
          'levels that do not ascend',
          { intervals: [0.95, 0.8] },
          'intervals: expected levels that ascend',
        ],
        ['a level that is a percentage', { intervals: [95] }, 'intervals.0: Too big'],
        ['no level', { intervals: [] }, 'intervals: Too small'],
        ...['horizon', 'last_timestamp', 'timestamps'].map(
          (name) =>
            [
              `an input of a forecast named ${name}`,
              {
                inputs: [
                  { name: 'history', type: 'series', length: 2 },
                  { name, type: 'number' },
                ],
              },
              'inputs: expected one series for a forecast, and no input named "horizon", "last_timestamp", "timestamps"',
            ] as const,
        ),
        ...['timestamps', 'intervals'].map(
          (name) =>
            [
              `an output of a forecast named ${name}`,
              { outputs: [{ name, type: 'series' }] },
              'outputs: expected no output of a forecast named "timestamps" or "intervals"',
            ] as const,
        ),
      ] as const
    ).map(
      ([name, changes, expected]) =>
        [
          name,
          () => writeManifest(JSON.stringify({ ...forecast, ...changes })),
          () => `  ${expected}`,
        ] as [string, () => void, () => string],
    ),
    [
      'the manifest of another version',
      () => addModel('ant', '1', { version: '2' }),
      () => `${manifestPath()} is for ant/2, but lies in the folder of ant/1`,
    ],
    [
      'the manifest of another model',
      () => addModel('ant', '1', { name: 'bee' }),
      () => `${manifestPath()} is for bee/1, but lies in the folder of ant/1`,
    ],
    [
      'an example that does not fit the inputs',
      () => addModel('ant', '1', { example: { x1: 'much', x3: 1 } }),
      () =>
        `${manifestPath()} has an example that does not fit its inputs:\n  example.x3: the model has no such column`,
    ],
    [
      'no model file',
      () => rmSync(join(directory, 'ant', '1', 'model.onnx')),
      () => `The model file ${join(directory, 'ant', '1', 'model.onnx')} is missing`,
    ],
  ])('%s', async (_, breakIt, expected) => {
    addModel('ant', '1')
    breakIt()
    const error = await refusal(readModelFolder(directory))
    expect(error).toBeInstanceOf(StartError)
    expect((error as Error).message).toContain(expected())
  })
})

describe('a manifest that does not fit its model keeps the server from starting:', () => {
  const third = { name: 'x3', type: 'number' }
  test.each<[string, object, string]>([
    [
      'an input more',
      { inputs: [...manifest.inputs, third], example: { ...manifest.example, x3: 1 } },
      'the manifest has 3 columns',
    ],
    [
      'an input less',
      { inputs: manifest.inputs.slice(1), example: { x2: 1 } },
      'the manifest has 1 columns',
    ],
    ['a class more', { classes: ['a', 'b', 'c'] }, 'where the manifest has 3 numbers a row'],
    [
      'intervals, which the file does not have',
      { ...forecast, classes: undefined, intervals: [0.8, 0.95] },
      'where the manifest has 10 numbers a row',
    ],
  ])('%s', async (_, changes, expected) => {
    const folder = addModel('ant', '1', changes)
    const error = await refusal(open())
    expect(error).toBeInstanceOf(StartError)
    expect((error as Error).message).toContain(`${join(folder, 'model.onnx')} `)
    expect((error as Error).message).toContain(expected)
  })

  test('no model in the model file', async () => {
    const path = join(addModel('ant', '1'), 'model.onnx')
    writeFileSync(path, 'This is a text.')
    const error = await refusal(open())
    expect(error).toBeInstanceOf(StartError)
    expect((error as Error).message).toContain(`${path} `)
  })

  const unused = () => Promise.reject(new Error('no table is predicted here'))

  async function open() {
    const DATA_DIR = join(directory, '..', `${basename(directory)}-data`)
    const config = parseConfig({ MODELS_DIR: directory, DATA_DIR, WORKERS: '1' })
    const platform = await openPlatform(
      config,
      openLog({ LOG_LEVEL: 'silent' }, { write() {} }).log,
    )
    try {
      const { access, ownership, identity } = createAuth(platform)
      const none = { read: unused, write: unused }
      return await openInference({ ...platform, access, ownership, identity, tableFiles: none })
    } finally {
      await platform.close()
      rmSync(DATA_DIR, { recursive: true })
    }
  }
})
