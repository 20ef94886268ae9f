import { existsSync } from 'node:fs'
import { join } from 'node:path'

const FOLDER = join(import.meta.dir, '../../.tools/bench-python')
const PYTHON = join(FOLDER, 'bin/python')
const PACKAGES = [
  'fastapi==0.165.0',
  'lightgbm==4.7.0',
  'numpy==2.4.6',
  'onnx==1.23.2',
  'shap==0.51.0',
  'uvicorn==0.54.0',
]

/** A Python with what others would use, made once; `undefined` where there is none. */
export function benchPython(): string | undefined {
  const installed = join(FOLDER, PACKAGES.join(' ').replaceAll('==', '-'))
  if (existsSync(installed)) return PYTHON
  process.stderr.write('Installing FastAPI and shap into .tools/\n')
  const steps = [
    ['python3', '-m', 'venv', FOLDER],
    [PYTHON, '-m', 'pip', 'install', '--quiet', ...PACKAGES],
    ['touch', installed],
  ]
  const quiet = { stdout: 'ignore', stderr: 'ignore' } as const
  if (Bun.which('python3') === null) return undefined
  return steps.every((step) => Bun.spawnSync(step, quiet).success) ? PYTHON : undefined
}
