import { expect } from 'bun:test'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'

import { createModels } from '../../src/inference/registry/models.ts'
import { createRemovals } from '../../src/inference/registry/removals.ts'
import type { Clock } from '../../src/platform/clock.ts'
import { parseConfig } from '../../src/platform/config.ts'
import { openLog } from '../../src/platform/log.ts'
import { openPlatform } from '../../src/platform/platform.ts'
import { ECHO_ROWS, echoTree } from './echo-tree.ts'
import { FIXTURE_MODELS_DIR } from './harness.ts'
import type { KilledDatabase } from './kills.ts'
import { ModelLedger } from './model-ledger.ts'
import { startServer, type TestServer } from './server.ts'
import { uploadTo } from './uploads.ts'

const QUICKEST_KILL_MS = 200
const SLOWEST_KILL_MS = 1500
const KEPT_VERSIONS = 3
const NEWEST_SHARE = 0.7
const DAY_MS = 86_400_000
const MODELS = ['grown', 'led']

const shuffled = <T>(from: readonly T[]) => from.toSorted(() => Math.random() - 0.5)

/** How long it goes on, at least. */
export interface ModelExtent {
  /** That were acknowledged. */
  changesMin: number
  killsMin: number
}

interface Card {
  versions: { version: number; fault: string | null }[]
  traffic: unknown
}

/**
 * Kills a server by -9 while models are uploaded, led and removed, again and again on the same database and
 * folder; and looks each time at what is left.
 */
export async function killWhileModelsChange(
  database: KilledDatabase,
  { changesMin, killsMin }: ModelExtent,
): Promise<void> {
  const settings = {
    ...database.settings,
    MODELS_DIR: FIXTURE_MODELS_DIR,
    RATE_LIMIT_AUTH: '1000000',
    RATE_LIMIT_PRINCIPAL: '1000000000',
  }
  const ledgers = MODELS.map((name) => new ModelLedger(name))
  /** Models that were removed whole, and those that may be. */
  const gone = new Set<string>()
  let base = 0
  let changes = 0
  let rounds = 0
  let strays = 0
  const goesOn = () => rounds < killsMin || changes < changesMin
  for (; goesOn(); rounds += 1) {
    const server = await startServer(settings)
    const token = await server.logIn()
    await expectAllThere(server, token)
    await changeUntilKilled(server, token)
    await database.check()
  }
  await expectStraysRemoved()
  const server = await startServer(settings)
  await expectAllThere(server, await server.logIn())
  expect(await server.stop()).toBe(0)
  process.stderr.write(
    `kills on ${database.name}: ${changes} changes of models in ${rounds} rounds, none lost; ${strays} stray files\n`,
  )

  async function changeUntilKilled(server: TestServer, token: string): Promise<void> {
    const killed = new AbortController()
    const isAlive = () => !killed.signal.aborted
    const send = (method: string, path: string, body?: object) =>
      fetch(`${server.url}${path}`, {
        method,
        headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      }).catch(() => undefined)
    /** @returns the number, where it was acknowledged. */
    async function upload(name: string, said: number): Promise<number | undefined> {
      const model = echoTree(said)
      const response = await uploadTo(server.url, { model }, token, `?name=${name}`).catch(() => {})
      const body = (await response?.json().catch(() => {})) as { version: number } | undefined
      if (response === undefined || body === undefined) return undefined
      expect(response.status).toBe(201)
      changes += 1
      return body.version
    }
    async function grow(ledger: ModelLedger): Promise<void> {
      while (isAlive()) {
        const said = (base += 1) * ECHO_ROWS
        ledger.beginUpload(said)
        const version = await upload(ledger.name, said)
        if (version !== undefined) ledger.endUpload(said, version)
      }
    }
    async function lead(ledger: ModelLedger): Promise<void> {
      for (let count = 0; isAlive(); count += 1) {
        await Bun.sleep(1)
        const [version, shadow] = shuffled(ledger.versions)
        if (version === undefined || shadow === undefined) continue
        const traffic = { split: [{ version, weight: 1 }], shadow: count % 3 === 0 ? shadow : null }
        ledger.beginTraffic(traffic)
        const response = await send('PUT', `/api/v1/models/${ledger.name}/traffic`, traffic)
        if (response === undefined) return
        if (response.status !== 200) continue
        ledger.endTraffic(traffic)
        changes += 1
      }
    }
    async function remove(ledger: ModelLedger): Promise<void> {
      while (isAlive()) {
        await Bun.sleep(5)
        if (ledger.versions.length <= KEPT_VERSIONS) continue
        // The newest above all: its number is the one that could be given again.
        const [any] = shuffled(ledger.versions) as [number]
        const version = Math.random() < NEWEST_SHARE ? Math.max(...ledger.versions) : any
        ledger.beginRemoval(version)
        const path = `/api/v1/models/${ledger.name}/versions/${version}`
        const response = await send('DELETE', path)
        if (response === undefined) return
        ledger.endRemoval(version, response.status === 204)
        if (response.status === 204) changes += 1
      }
    }
    /** Models that come and go whole. */
    async function passBy(): Promise<void> {
      while (isAlive()) {
        const name = `brief-${(base += 1)}`
        if ((await upload(name, base * ECHO_ROWS)) === undefined) return
        await send('POST', `/v2/repository/models/${name}/unload`, {})
        const removed = await send('DELETE', `/api/v1/models/${name}`)
        if (removed?.status !== 204) continue
        gone.add(name)
        changes += 1
      }
    }
    const [grown, led] = ledgers as [ModelLedger, ModelLedger]
    const changing = [grow(grown), grow(led), lead(led), remove(grown), remove(led), passBy()]
    await Bun.sleep(QUICKEST_KILL_MS + Math.random() * (SLOWEST_KILL_MS - QUICKEST_KILL_MS))
    server.process.kill('SIGKILL')
    killed.abort()
    await Promise.all([server.process.exited, ...changing])
  }

  async function expectAllThere(server: TestServer, token: string): Promise<void> {
    expect(readdirSync(join(server.directory, 'uploads'))).toEqual([])
    const headers = { authorization: `Bearer ${token}` }
    const cardOf = (name: string) => fetch(`${server.url}/api/v1/models/${name}`, { headers })
    for (const ledger of ledgers) {
      const response = await cardOf(ledger.name)
      const isThere = response.status === 200
      const card = (await response.json()) as Card
      const found = new Map<number, number>()
      for (const { version, fault } of isThere ? card.versions : []) {
        expect(fault).toBeNull()
        found.set(version, await saidBy(server, token, ledger.name, version))
      }
      ledger.expectAsKnown(found, isThere ? card.traffic : undefined)
    }
    for (const name of gone) expect((await cardOf(name)).status).toBe(404)
    const { stored, known } = await files()
    for (const id of known) expect(stored).toContain(id)
    strays = stored.filter((id) => !known.includes(id)).length
  }

  async function saidBy(
    server: TestServer,
    token: string,
    name: string,
    version: number,
  ): Promise<number> {
    const body = { model_type: name, features: [{ x: 0 }], model_version: String(version) }
    const response = await server.post('/api/v1/predict', body, token)
    expect([name, version, response.status]).toEqual([name, version, 200])
    return ((await response.json()) as { predictions: number[] }).predictions[0]!
  }

  /** Ids of versions: of those that have a file, and of those that the database has. */
  async function files(): Promise<{ stored: string[]; known: string[] }> {
    const rows = await database.query('select id from model_versions')
    const folder = join(database.settings['DATA_DIR']!, 'files', 'models@')
    const stored = readdirSync(folder).filter((name) =>
      readdirSync(join(folder, name)).some((file) => !file.includes('@')),
    )
    return {
      stored: stored.map((name) => name.replace(/@$/, '')),
      known: rows.map(([id]) => String(id)),
    }
  }

  /** By the job of the server, a day later. */
  async function expectStraysRemoved(): Promise<void> {
    let now = Date.now()
    const clock: Clock = { now: () => now }
    const config = parseConfig(database.settings)
    const { log } = openLog(config, { write: () => {} })
    const platform = await openPlatform(config, log, clock)
    const models = createModels({ ...platform, ownership: {} as never, quotaBytes: 1 })
    const { removeStrays } = createRemovals({ ...platform, models, live: {} as never })
    await platform.storage.put(`models/${Bun.randomUUIDv7()}/model.txt`, Buffer.from('tree'))
    const before = await files()
    expect(before.stored.length).toBeGreaterThan(before.known.length)
    await removeStrays()
    expect((await files()).stored).toEqual(before.stored)
    now += DAY_MS + 1000
    await removeStrays()
    expect((await files()).stored.toSorted()).toEqual(before.known.toSorted())
    await platform.close()
  }
}
