import { Database } from 'bun:sqlite'
import { expect, test } from 'bun:test'
import { rmSync } from 'node:fs'
import { join } from 'node:path'

import { FIXTURE_MODELS_DIR } from '../support/harness.ts'
import { newDirectory, startServer } from '../support/server.ts'

const ROUNDS = 100

test('a process that is killed in mid-write loses nothing that it acknowledged', async () => {
  const directory = newDirectory()
  const acknowledged = new Set<string>()
  for (let round = 0; round < ROUNDS; round++) {
    const server = await startServer({
      DATA_DIR: directory,
      MODELS_DIR: FIXTURE_MODELS_DIR,
      RATE_LIMIT_AUTH: '1000000',
    })
    const token = await server.logIn()
    const alive = new AbortController()
    const writers = Array.from({ length: 4 }, async (_, writer) => {
      for (let count = 0; !alive.signal.aborted; count++) {
        const username = `u-${round}-${writer}-${count}`
        const body = { username, password: 'long enough' }
        const response = await server.post('/api/v1/users', body, token).catch(() => undefined)
        if (response?.status === 201) acknowledged.add(username)
      }
    })
    await Bun.sleep(100 + Math.random() * 200)
    server.process.kill('SIGKILL')
    alive.abort()
    await Promise.all([server.process.exited, ...writers])

    const database = new Database(join(directory, 'quintet.db'))
    expect(database.query('pragma integrity_check').get()).toEqual({ integrity_check: 'ok' })
    const rows = database.query<{ username: string }, []>('select username from accounts').all()
    const stored = new Set(rows.map(({ username }) => username))
    expect([...acknowledged].filter((username) => !stored.has(username))).toEqual([])
    database.close()
  }
  process.stderr.write(
    `kills: ${ROUNDS} rounds, ${acknowledged.size} acknowledged users, none lost\n`,
  )
  rmSync(directory, { recursive: true, force: true })
})
