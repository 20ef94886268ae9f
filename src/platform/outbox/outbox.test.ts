import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { join } from 'node:path'

import { Registry } from 'prom-client'

import { createTestClock, type TestClock } from '../../../tests/support/clock.ts'
import { until } from '../../../tests/support/until.ts'
import type { Bus, EventOf } from '../bus/bus.ts'
import { createMemoryBus } from '../bus/memory.ts'
import type { Database } from '../database/database.ts'
import { drivers } from '../database/drivers.fixture.ts'
import { openLog } from '../log.ts'
import { createOutbox, type Outbox } from './outbox.ts'
import { outboxTables } from './tables.ts'

interface Vocabulary {
  'thing.made': { id: string }
}

const POLL_MS = 20
const LEASE_MS = 10_000
const source = 'https://quintet.example'

describe.each(drivers.map((driver) => [driver.name, driver] as const))('%s', (name, driver) => {
  let place: Awaited<ReturnType<typeof driver.create>>
  let database: Database
  let clock: TestClock
  let opened: Outbox<Vocabulary>[]
  beforeEach(async () => {
    place = await driver.create()
    database = await driver.open(place.where)
    clock = createTestClock()
    opened = []
  })
  afterEach(async () => {
    for (const outbox of opened) await outbox.stop()
    await database.close()
    await place.remove()
  })

  const { outbox: table, relays } = outboxTables(driver.kit)
  const { log } = openLog({ LOG_LEVEL: 'silent' }, { write() {} })

  /** What one process has, and what its bus carried. */
  function createProcess(
    change: (bus: Bus<Vocabulary>) => Partial<Bus<Vocabulary>> = () => ({}),
    write: Database['write'] = database.write,
  ) {
    const metrics = new Registry()
    const bus = createMemoryBus<Vocabulary>({ source, clock, log })
    const heard: EventOf<Vocabulary>[] = []
    bus.subscribe((event) => void heard.push(event))
    const outbox = createOutbox<Vocabulary>({
      database: { ...database, write },
      bus: { ...bus, ...change(bus) },
      source,
      clock,
      log,
      metrics,
      pollMs: POLL_MS,
    })
    opened.push(outbox)
    const add = (...ids: string[]) =>
      database.write(async (tx) => {
        for (const id of ids) await outbox.add(tx, 'thing.made', { id })
      })
    const ids = () => heard.map(({ data }) => data.id)
    const waiting = async () => (await metrics.metrics()).match(/^outbox_events (\d+)$/m)?.[1]
    return { outbox, add, heard, ids, waiting }
  }

  test('an event is published after the commit, as CloudEvents 1.0', async () => {
    const { outbox, heard, waiting } = createProcess()
    await outbox.start()
    await database.write(async (tx) => {
      await outbox.add(tx, 'thing.made', { id: 'a' })
      await Bun.sleep(3 * POLL_MS)
      expect(heard).toEqual([])
    })
    await until(() => heard.length === 1)
    expect(heard).toEqual([
      {
        specversion: '1.0',
        id: expect.stringMatching(/^[0-9a-f-]{36}$/),
        source,
        type: 'thing.made',
        time: new Date(clock.now()).toISOString(),
        datacontenttype: 'application/json',
        data: { id: 'a' },
      },
    ])
    await until(async () => (await waiting()) === '0')
  })

  test('an event of a change that failed is none', async () => {
    const { outbox, add, ids } = createProcess()
    await outbox.start()
    const failed = database.write(async (tx) => {
      await outbox.add(tx, 'thing.made', { id: 'never' })
      throw new Error('second thoughts')
    })
    await failed.catch(() => {})
    await add('a')
    await until(() => ids().length > 0)
    expect(ids()).toEqual(['a'])
  })

  test('many events come in their order, each once', async () => {
    const { outbox, add, ids } = createProcess()
    const all = Array.from({ length: 250 }, (_, n) => String(n))
    await add(...all.slice(0, 200))
    await outbox.start()
    await add(...all.slice(200))
    await until(() => ids().length === all.length)
    expect(ids()).toEqual(all)
  })

  test('they come by their ids, in whatever order they were stored', async () => {
    const { outbox, add, ids } = createProcess()
    const ordered = Array.from({ length: 20 }, () => Bun.randomUUIDv7())
    await add('a')
    const [added] = await database.read.select().from(table)
    await database.write(async (tx) => {
      await tx.delete(table)
      for (const id of ordered.toReversed()) {
        await tx
          .insert(table)
          .values({ id, event: { ...(added!.event as object), id, data: { id } } })
      }
    })
    await outbox.start()
    await until(() => ids().length === ordered.length)
    expect(ids()).toEqual(ordered)
  })

  test('of several processes one publishes, and another as soon as that stops', async () => {
    const [first, second] = [createProcess(), createProcess()]
    await first.outbox.start()
    await second.outbox.start()
    await first.add('a')
    await until(() => first.ids().length + second.ids().length === 1)
    const [holder, other] = first.ids().length === 1 ? [first, second] : [second, first]
    await other.add('b')
    await until(() => holder.ids().length === 2)
    await holder.outbox.stop()
    await other.add('c')
    await until(() => other.ids().length === 1)
    expect(other.ids()).toEqual(['c'])
  })

  test('of one that fell silent another publishes when its lease is over', async () => {
    const silence = Promise.withResolvers<void>()
    const silent = createProcess(() => ({ forward: () => silence.promise }))
    const other = createProcess()
    await silent.outbox.start()
    await silent.add('a')
    await until(async () => (await database.read.select().from(relays)).length > 0)
    await other.outbox.start()
    await Bun.sleep(3 * POLL_MS)
    expect(other.ids()).toEqual([])
    clock.advance(LEASE_MS + 1)
    await until(() => other.ids().length === 1)
    silence.resolve()
  })

  test('what one has published while another waited for its turn is not published again', async () => {
    const turn = Promise.withResolvers<void>()
    let isWaiting = false
    const late = createProcess(
      () => ({}),
      async (work) => {
        isWaiting = true
        await turn.promise
        return database.write(work)
      },
    )
    const quick = createProcess()
    await quick.add('a')
    await late.outbox.start()
    await until(() => isWaiting)
    await quick.outbox.start()
    await until(() => quick.ids().length === 1)
    await quick.outbox.stop()
    turn.resolve()
    await quick.add('b')
    await until(() => late.ids().length > 0)
    expect(late.ids()).toEqual(['b'])
  })

  test('a slow bus does not outlast the lease: nothing is published twice', async () => {
    const slow = createProcess((bus) => ({
      async forward(event) {
        clock.advance(LEASE_MS / 10)
        await Bun.sleep(2 * POLL_MS)
        return bus.forward(event)
      },
    }))
    const other = createProcess()
    const all = Array.from({ length: 20 }, (_, n) => String(n))
    await slow.add(...all)
    await slow.outbox.start()
    await until(() => slow.ids().length > 0)
    await other.outbox.start()
    await until(() => slow.ids().length + other.ids().length >= all.length)
    await until(async () => (await slow.waiting()) === '0')
    expect([...slow.ids(), ...other.ids()]).toEqual(all)
  })

  test('a stop waits for the event under way, and leaves the others to who comes next', async () => {
    const slow = createProcess((bus) => ({
      async forward(event) {
        await Bun.sleep(50)
        return bus.forward(event)
      },
    }))
    const all = Array.from({ length: 20 }, (_, n) => String(n))
    await slow.add(...all)
    await slow.outbox.start()
    await until(() => slow.ids().length > 0)
    await slow.outbox.stop()
    const first = slow.ids()
    expect(first.length).toBeLessThan(all.length)
    const next = createProcess()
    await next.outbox.start()
    await until(() => first.length + next.ids().length >= all.length)
    expect([...first, ...next.ids()]).toEqual(all)
  })

  test('what the bus does not take is tried again, in order, under the same id', async () => {
    let failures = 3
    const tried: string[] = []
    const { outbox, add, heard, ids } = createProcess((bus) => ({
      async forward(event) {
        tried.push(event.id)
        if (event.data.id === 'b' && failures-- > 0) throw new Error('Redis is away')
        return bus.forward(event)
      },
    }))
    await outbox.start()
    await add('a', 'b', 'c')
    await until(() => heard.length === 3)
    expect(ids()).toEqual(['a', 'b', 'c'])
    expect(tried).toEqual([0, 1, 1, 1, 1, 2].map((at) => heard[at]!.id))
  })

  test('what a process that was killed had committed, another publishes', async () => {
    const { table, column } = driver.kit
    const things = table('things', { id: column.text().primaryKey() })
    await driver.execute(place.where, 'create table things (id text primary key)')
    const script = join(import.meta.dir, 'process.fixture.ts')
    const child = Bun.spawn([process.execPath, script, name, place.where], { stdout: 'pipe' })
    let said = ''
    for await (const chunk of child.stdout) {
      said += Buffer.from(chunk).toString()
      if (said.length > 37 * 20) child.kill('SIGKILL')
    }
    const acknowledged = said.split('\n').slice(0, -1)
    expect(acknowledged.length).toBeGreaterThanOrEqual(20)

    const { outbox, ids, waiting } = createProcess()
    await outbox.start()
    await until(async () => (await waiting()) === '0' && ids().length > 0)
    const stored = (await database.read.select().from(things)).map(({ id }) => id)
    expect(ids().toSorted()).toEqual(stored.toSorted())
    expect(stored).toEqual(expect.arrayContaining(acknowledged))
  })
})
