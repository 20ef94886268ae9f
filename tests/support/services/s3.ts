import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

import { aptInstall } from './apt.ts'
import { type Service, startService } from './service.ts'

const FOLDER = join(import.meta.dir, '../../../.tools/s3')
const PYTHON = join(FOLDER, 'bin/python')
const PACKAGES = [
  'moto[s3]==5.2.5',
  'boto3==1.44.5',
  'flask==3.1.3',
  'flask-cors==6.0.5',
  'werkzeug==3.1.9',
]
/** Written last, so that half an installation counts as none, and another version as well. */
const INSTALLED = join(FOLDER, '.installed')

/** What the server knows its one client by. */
export const s3 = { accessKeyId: 'QUINTET', secretAccessKey: 'secret-of-the-tests', bucket: 'test' }

export const findS3 = () =>
  existsSync(INSTALLED) && readFileSync(INSTALLED, 'utf8') === PACKAGES.join(' ')
    ? FOLDER
    : undefined

/** Puts moto into `.tools/`, in a Python of its own. */
export async function installS3(): Promise<void> {
  rmSync(FOLDER, { recursive: true, force: true })
  const makeVenv = () => succeeds(['python3', '-m', 'venv', FOLDER])
  if (!(await makeVenv())) {
    await aptInstall('python3-venv')
    if (!(await makeVenv())) return
  }
  const pip = [PYTHON, '-m', 'pip', 'install', '--quiet', '--disable-pip-version-check']
  if (await succeeds([...pip, ...PACKAGES])) writeFileSync(INSTALLED, PACKAGES.join(' '))
}

async function succeeds(command: string[]): Promise<boolean> {
  if (Bun.which(command[0]!) === null) return false
  return (await Bun.spawn(command, { stdout: 'ignore', stderr: 'inherit' }).exited) === 0
}

/** A server of its own that speaks S3 and checks signatures, with one empty bucket, in memory. */
export async function startS3(): Promise<Service> {
  if (findS3() === undefined) throw new Error('there is no server for S3 on this machine')
  return startService({
    name: 's3',
    url: (port) => `http://127.0.0.1:${port}`,
    command: (_, port) => [
      PYTHON,
      join(import.meta.dir, 's3_server.py'),
      String(port),
      s3.bucket,
      s3.accessKeyId,
      s3.secretAccessKey,
    ],
    stopSignal: 'SIGTERM',
    isReady: (url) =>
      fetch(url).then(
        () => true,
        () => false,
      ),
  })
}
