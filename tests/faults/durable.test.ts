import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { FIXTURE_MODELS_DIR, PASSWORD } from '../support/harness.ts'
import { startServer, type TestServer } from '../support/server.ts'
import { aptInstall } from '../support/services/apt.ts'
import { until } from '../support/until.ts'

if (Bun.which('strace') === null) await aptInstall('strace')
const isTraceable = Bun.which('strace') !== null && Bun.spawnSync(['strace', 'true']).success
if (!isTraceable) {
  process.stderr.write('skipped: what is on disk before an answer, since strace can not be used\n')
  if (process.env['CI'] === 'true') throw new Error('in CI no test may be skipped')
}

/** What each system call is to us, in the order of the trace. */
const KINDS: [RegExp, string][] = [
  [/pwrite64\(\d+<[^>]*quintet\.db-wal>/, 'written'],
  [/f(?:data)?sync\(\d+<[^>]*quintet\.db-wal>\) += 0/, 'synced'],
  [/"HTTP\/1\.1 2/, 'answered'],
]

describe.if(isTraceable)('on SQLite, before a 2xx is sent', () => {
  const path = join(tmpdir(), `quintet-trace-${Bun.randomUUIDv7()}`)
  let server: TestServer
  let tracer: Bun.Subprocess<'ignore', 'ignore', 'pipe'>
  beforeAll(async () => {
    server = await startServer({ MODELS_DIR: FIXTURE_MODELS_DIR })
    const calls = 'trace=fsync,fdatasync,pwrite64,write,writev,sendto,sendmsg'
    tracer = Bun.spawn(
      ['strace', '-f', '-y', '-s', '20', '-e', calls, '-o', path, '-p', String(server.process.pid)],
      { stdin: 'ignore', stdout: 'ignore', stderr: 'pipe' },
    )
    const { value } = await tracer.stderr.getReader().read()
    expect(Buffer.from(value!).toString()).toContain('attached')
  })
  afterAll(async () => {
    tracer.kill()
    await tracer.exited
    await server.stop()
    rmSync(path, { force: true })
  })

  /** By then what went on behind the last answer is over. */
  const SETTLED_MS = 300

  /** What was done since, up to the next answer; the same again and again is told once. */
  async function trace(request: () => Promise<Response>): Promise<string[]> {
    const read = () => readFileSync(path, 'utf8')
    const from = read().length
    expect((await request()).ok).toBe(true)
    await until(() => read().slice(from).includes('"HTTP/1.1 2'))
    const kinds = read()
      .slice(from)
      .split('\n')
      .map((line) => KINDS.find(([call]) => call.test(line))?.[1])
      .filter((kind) => kind !== undefined)
    return kinds.filter((kind, at) => kind !== kinds[at - 1])
  }

  test('a new user, and a new session, are synced to the disk', async () => {
    const token = await server.logIn()
    const user = { username: 'ada', password: PASSWORD }
    await Bun.sleep(SETTLED_MS)
    for (const request of [
      () => server.post('/api/v1/users', user, token),
      () => server.post('/api/v1/auth/login', user),
    ]) {
      const calls = await trace(request)
      expect(calls.slice(0, 2)).toEqual(['written', 'synced'])
      // The event of it is published beside the answer, with writes of its own.
      expect(calls.indexOf('answered')).toBeGreaterThan(1)
      await Bun.sleep(SETTLED_MS)
    }
    expect(await trace(() => server.post('/api/v1/auth/validate', { token }))).toEqual(['answered'])
  })
})
