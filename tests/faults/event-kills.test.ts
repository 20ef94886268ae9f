import { afterAll, expect, test } from 'bun:test'
import { rmSync } from 'node:fs'

import { newDirectory, startServer, type TestServer } from '../support/server.ts'
import { until } from '../support/until.ts'

const KILLS = 4
const SENDERS = 6
/** Before each kill: several micro-batches. */
const ACKNOWLEDGED = 40
const SOON_MS = 30_000

const directory = newDirectory()
afterAll(() => rmSync(directory, { recursive: true, force: true }))

test(
  'what was acknowledged is there after kills, and nothing is there twice',
  async () => {
    const acknowledged = new Set<number>()
    let sent = 0

    /** Sends one event after the other, until the server is gone. */
    async function keepSending(server: TestServer, token: string): Promise<void> {
      for (;;) {
        const n = (sent += 1)
        const response = await fetch(`${server.url}/api/v1/datasets/ticks/events`, {
          method: 'POST',
          headers: { authorization: `Bearer ${token}`, 'content-type': 'application/x-ndjson' },
          body: `${JSON.stringify({ n })}\n`,
        }).catch(() => undefined)
        if (response === undefined) return
        if (response.status === 200) acknowledged.add(n)
        await response.arrayBuffer().catch(() => undefined)
      }
    }

    for (let kill = 0; kill < KILLS; kill += 1) {
      const server = await startServer({ DATA_DIR: directory, DATASET_EVENTS_WAIT_MS: '20' })
      const token = await server.logIn()
      const before = acknowledged.size
      const senders = Array.from({ length: SENDERS }, () => keepSending(server, token))
      await until(() => acknowledged.size >= before + ACKNOWLEDGED, SOON_MS)
      server.process.kill('SIGKILL')
      await server.process.exited
      await Promise.all(senders)
    }

    const server = await startServer({ DATA_DIR: directory })
    try {
      const token = await server.logIn()
      const response = await fetch(`${server.url}/api/v1/datasets/ticks/export.ndjson`, {
        headers: { authorization: `Bearer ${token}` },
      })
      const stored = (await response.text())
        .trim()
        .split('\n')
        .map((line) => (JSON.parse(line) as { n: number }).n)
      expect(new Set(stored).size).toBe(stored.length)
      expect([...acknowledged].filter((n) => !stored.includes(n))).toEqual([])
      expect(stored.filter((n) => n > sent)).toEqual([])
      expect(acknowledged.size).toBeGreaterThanOrEqual(KILLS * ACKNOWLEDGED)
    } finally {
      await server.stop()
    }
  },
  3 * SOON_MS,
)
