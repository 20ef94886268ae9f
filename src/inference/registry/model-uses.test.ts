import { expect, test } from 'bun:test'

import { openLog } from '../../platform/log.ts'
import { createModelStats } from '../serving/model-stats.ts'
import { createModelUses } from './model-uses.ts'

/** Uses whose writes wait until they are let go on, of a loader whose models are asked by hand. */
function openUses() {
  const written: Record<string, number>[] = []
  let goOn: (() => void)[] = []
  let isAway = false
  const uses = createModelUses({
    models: {
      async addUse(rows) {
        await new Promise<void>((resolve) => goOn.push(resolve))
        if (isAway) throw new Error('the database is away')
        written.push(Object.fromEntries(rows))
      },
    },
    log: openLog({ LOG_LEVEL: 'silent' }, { write: () => {} }).log,
  })
  const loader = uses.counting({
    async load({ id }) {
      const served = { id, metrics: { stats: createModelStats() } } as never
      return { served, unload: async () => {} }
    },
  })
  return {
    uses,
    written,
    load: (id: string) => loader.load({ id } as never),
    beAway: (away: boolean) => (isAway = away),
    async stop() {
      const stopped = uses.stop()
      await Bun.sleep(1)
      for (const resolve of goOn.splice(0)) resolve()
      await stopped
    },
    release() {
      for (const resolve of goOn) resolve()
      goOn = []
    },
  }
}

test('what a version answered counts also where it was unloaded before it was written down', async () => {
  const { written, load, stop } = openUses()
  const first = await load('a')
  first.served.metrics.stats.rows = 5
  await first.unload()
  // On its way out it still answers who had it.
  first.served.metrics.stats.rows = 6
  const again = await load('a')
  again.served.metrics.stats.rows = 2
  await stop()
  await stop()
  expect(written).toEqual([{ a: 8 }])
})

test('what is being written down is no news for the next', async () => {
  const { uses, written, load, release } = openUses()
  const { served } = await load('a')
  served.metrics.stats.rows = 5
  const both = [uses.stop(), uses.stop()]
  await Bun.sleep(1)
  release()
  await Bun.sleep(1)
  release()
  await Promise.all(both)
  expect(written).toEqual([{ a: 5 }])
})

test('what the database did not take is tried again', async () => {
  const { written, load, stop, beAway } = openUses()
  const { served, unload } = await load('a')
  served.metrics.stats.rows = 5
  await unload()
  beAway(true)
  await stop()
  beAway(false)
  await stop()
  expect(written).toEqual([{ a: 5 }])
})

test('a model that was unloaded does not wait for that to be written down', async () => {
  const { load, stop } = openUses()
  const models: WeakRef<object>[] = []
  for (let count = 0; count < 20; count += 1) {
    const { served, unload } = await load(`m${count}`)
    served.metrics.stats.rows = 1
    models.push(new WeakRef<object>(served))
    await unload()
  }
  // What was touched in this turn stays; and one or two that a register still names.
  await Bun.sleep(1)
  Bun.gc(true)
  expect(models.filter((model) => model.deref() !== undefined).length).toBeLessThan(5)
  await stop()
})
