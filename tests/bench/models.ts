import { existsSync } from 'node:fs'
import { join } from 'node:path'

import { benchPython } from './python.ts'

const ROOT = join(import.meta.dir, '../..')
const SCRIPT = join(ROOT, 'scripts/bench_models.py')
const FOLDER = join(ROOT, '.tools/bench-models')

/** A folder of models that are too large to be kept, made once; `undefined` where there is no Python. */
export function benchModels(): string | undefined {
  if (existsSync(join(FOLDER, 'linear/1/golden.json'))) return FOLDER
  const python = benchPython()
  if (python === undefined) return undefined
  process.stderr.write('Training a model of 500 trees into .tools/\n')
  const made = Bun.spawnSync([python, SCRIPT, FOLDER], { stdout: 'ignore', stderr: 'pipe' })
  if (made.success) return FOLDER
  throw new Error(`scripts/bench_models.py failed: ${made.stderr.toString()}`)
}
