import { chownSync, readdirSync } from 'node:fs'
import { join } from 'node:path'

import { SQL } from 'bun'

import { type Service, startService } from './service.ts'

const DEBIAN_FOLDER = '/usr/lib/postgresql'
const USER = 'quintet'

/** The folder of PostgreSQL's programs; Debian keeps them off the PATH. */
export function findPostgres(): string | undefined {
  const onPath = Bun.which('postgres')
  if (onPath !== null) return join(onPath, '..')
  try {
    const versions = readdirSync(DEBIAN_FOLDER).toSorted(
      (one, other) => Number(other) - Number(one),
    )
    return versions
      .map((version) => join(DEBIAN_FOLDER, version, 'bin'))
      .find((folder) => Bun.which('postgres', { PATH: folder }) !== null)
  } catch {
    return undefined
  }
}

/** A PostgreSQL server of its own, empty, reachable over TCP without a password. */
export async function startPostgres(): Promise<Service> {
  const programs = findPostgres()
  if (programs === undefined) throw new Error('there is no PostgreSQL on this machine')
  // It refuses to run as root; Debian's package brings a user for it.
  const isRoot = process.getuid?.() === 0
  const as = isRoot ? ['setpriv', '--reuid=postgres', '--regid=postgres', '--init-groups'] : []
  return startService({
    name: 'postgres',
    url: (port) => `postgres://${USER}@127.0.0.1:${port}/postgres`,
    async prepare(directory) {
      if (isRoot) chownSync(directory, ...(await idsOf('postgres')))
      const initdb = Bun.spawn(
        [
          ...as,
          join(programs, 'initdb'),
          `--pgdata=${directory}/data`,
          `--username=${USER}`,
          '--auth=trust',
          '--encoding=UTF8',
          '--no-sync',
        ],
        { stdout: 'ignore', stderr: 'pipe', cwd: '/' },
      )
      const errors = await new Response(initdb.stderr).text()
      if ((await initdb.exited) !== 0) throw new Error(`initdb: ${errors}`)
    },
    command: (directory, port) => [
      ...as,
      join(programs, 'postgres'),
      '-D',
      `${directory}/data`,
      '-p',
      String(port),
      '-c',
      'listen_addresses=127.0.0.1',
      '-c',
      `unix_socket_directories=${directory}`,
      '-c',
      'max_connections=200',
    ],
    // "Fast": disconnects its clients and stops; TERM would wait for them.
    stopSignal: 'SIGINT',
    isReady: canConnect,
  })
}

/** An empty database on the server that TEST_DATABASE_URL names. */
export async function createTestDatabase(server = process.env['TEST_DATABASE_URL'] ?? '') {
  const name = `test_${Bun.randomUUIDv7().replaceAll('-', '')}`
  await execute(server, `create database ${name}`)
  const url = new URL(server)
  url.pathname = name
  return {
    url: url.href,
    remove: () => execute(server, `drop database if exists ${name} with (force)`),
  }
}

async function execute(url: string, statement: string): Promise<void> {
  await using client = new SQL(url, { max: 1 })
  await client.unsafe(statement)
}

async function canConnect(url: string): Promise<boolean> {
  const client = new SQL(url, { max: 1, connectionTimeout: 2 })
  try {
    await client`select 1`
    return true
  } catch {
    return false
  } finally {
    await client.close()
  }
}

async function idsOf(user: string): Promise<[uid: number, gid: number]> {
  const ids = ['-u', '-g'].map(async (flag) => {
    const child = Bun.spawn(['id', flag, user], { stdout: 'pipe' })
    return Number(await new Response(child.stdout).text())
  })
  const [uid, gid] = await Promise.all(ids)
  return [uid!, gid!]
}
