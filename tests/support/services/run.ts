// Runs a command with real servers beside it: bun tests/support/services/run.ts COMMAND...
// Those that TEST_DATABASE_URL, TEST_REDIS_URL and TEST_S3_ENDPOINT name are used; for the others
// private ones are started from installed programs, which are installed where that is possible.
import { aptInstall } from './apt.ts'
import { findPostgres, startPostgres } from './postgres.ts'
import { findRedis, startRedis } from './redis.ts'
import { findS3, installS3, s3, startS3 } from './s3.ts'
import type { Service } from './service.ts'

interface Kind {
  name: string
  /** By this variable the tests find it. */
  variable: string
  find: () => string | undefined
  install: () => Promise<void>
  start: () => Promise<Service>
  /** What else the tests must be told of it. */
  environment?: Record<string, string>
}

const kinds: Kind[] = [
  {
    name: 'PostgreSQL',
    variable: 'TEST_DATABASE_URL',
    find: findPostgres,
    install: () => aptInstall('postgresql'),
    start: startPostgres,
  },
  {
    name: 'Redis',
    variable: 'TEST_REDIS_URL',
    find: findRedis,
    install: () => aptInstall('redis-server'),
    start: startRedis,
  },
  {
    name: 'a server that speaks S3',
    variable: 'TEST_S3_ENDPOINT',
    find: findS3,
    install: installS3,
    start: startS3,
    environment: {
      TEST_S3_BUCKET: s3.bucket,
      TEST_S3_ACCESS_KEY_ID: s3.accessKeyId,
      TEST_S3_SECRET_ACCESS_KEY: s3.secretAccessKey,
    },
  },
]

const running: Service[] = []
const environment: Record<string, string | undefined> = { ...process.env }

async function provide(kind: Kind): Promise<void> {
  if (environment[kind.variable] !== undefined) return
  if (kind.find() === undefined) {
    process.stderr.write(`Installing ${kind.name}\n`)
    await kind.install()
  }
  if (kind.find() === undefined) {
    process.stderr.write(`Skipped: every test on ${kind.name}, which is not on this machine.\n`)
    if (environment['CI'] === 'true') throw new Error('in CI no test may be skipped')
    return
  }
  const service = await kind.start()
  running.push(service)
  Object.assign(environment, kind.environment, { [kind.variable]: service.url })
}

let code = 1
try {
  // One after the other: two can't install by apt-get at once.
  for (const kind of kinds) await provide(kind)
  const child = Bun.spawn(process.argv.slice(2), {
    env: environment,
    stdin: 'inherit',
    stdout: 'inherit',
    stderr: 'inherit',
  })
  process.on('SIGINT', () => child.kill('SIGINT'))
  process.on('SIGTERM', () => child.kill('SIGTERM'))
  code = await child.exited
} finally {
  await Promise.all(running.map((service) => service.remove()))
}
process.exit(code)
