import { existsSync } from 'node:fs'
import { join } from 'node:path'

import { type Service, startService } from './service.ts'

const ROOT = join(import.meta.dir, '../../..')
const FOLDER = join(ROOT, '.tools/s3')
const PACKAGE = 's3rver@3.7.1'

/** What the server knows its one client by. */
export const s3 = { accessKeyId: 'S3RVER', secretAccessKey: 'S3RVER', bucket: 'test' }

export const findS3 = () => (existsSync(join(FOLDER, 'node_modules/s3rver')) ? FOLDER : undefined)

/** Puts the server into `.tools/`; it is no part of the project, so it is not in the lockfile. */
export async function installS3(): Promise<void> {
  await Bun.write(join(FOLDER, 'package.json'), '{ "private": true }\n')
  const child = Bun.spawn([process.execPath, 'add', '--exact', '--ignore-scripts', PACKAGE], {
    cwd: FOLDER,
    stdout: 'ignore',
    stderr: 'inherit',
  })
  await child.exited
}

/** A server of its own that speaks S3 and checks signatures, with one empty bucket. */
export async function startS3(): Promise<Service> {
  if (findS3() === undefined) throw new Error('there is no server for S3 on this machine')
  return startService({
    name: 's3',
    url: (port) => `http://127.0.0.1:${port}`,
    command: (directory, port) => [
      process.execPath,
      join(FOLDER, 'node_modules/s3rver/bin/s3rver.js'),
      '--directory',
      directory,
      '--address',
      '127.0.0.1',
      '--port',
      String(port),
      '--configure-bucket',
      s3.bucket,
      '--silent',
    ],
    stopSignal: 'SIGTERM',
    isReady: (url) =>
      fetch(url).then(
        () => true,
        () => false,
      ),
  })
}
