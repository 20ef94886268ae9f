import { afterEach, beforeEach, describe, expect, test } from 'bun:test'

import { z } from 'zod'

import { createTestClock } from '../../../tests/support/clock.ts'
import { openTestRedis, sample, type TestRedis, withRedis } from '../../../tests/support/redis.ts'
import { until } from '../../../tests/support/until.ts'
import type { Clock } from '../clock.ts'
import { type Log, openLog } from '../log.ts'
import type { Bus, EventOf } from './bus.ts'
import { createMemoryBus } from './memory.ts'
import { openRedisBus } from './redis.ts'

const vocabulary = {
  'thing.made': z.object({ id: z.number() }),
  'thing.lost': z.object({ id: z.number(), by: z.string() }),
}
type Vocabulary = { [Type in keyof typeof vocabulary]: z.output<(typeof vocabulary)[Type]> }

interface Driver {
  name: string
  open(deps: { source: string; clock: Clock; log: Log }): Promise<Bus<Vocabulary>>
}

/** Every driver that the suite runs against. */
const drivers: Driver[] = [
  { name: 'memory', open: async (deps) => createMemoryBus<Vocabulary>(deps) },
  ...withRedis('bus', (url) => ({
    name: 'redis',
    async open(deps: { source: string; clock: Clock; log: Log }) {
      const { redis, metrics, close } = await openTestRedis(url)
      const bus = openRedisBus<Vocabulary>({ ...deps, url, redis, vocabulary, metrics })
      const closeAll = async () => {
        await bus.close()
        await close()
      }
      return { ...bus, close: closeAll }
    },
  })),
]

describe.each(drivers.map((driver) => [driver.name, driver] as const))('%s', (_, { open }) => {
  const source = 'https://quintet.example'
  const time = '2026-02-03T04:05:06.789Z'
  let lines: Record<string, unknown>[]
  let bus: Bus<Vocabulary>
  beforeEach(async () => {
    lines = []
    const clock = createTestClock(Date.parse(time))
    const write = (line: string) => void lines.push(JSON.parse(line))
    bus = await open({ source, clock, log: openLog({ LOG_LEVEL: 'error' }, { write }).log })
  })
  afterEach(() => bus.close())

  /** Subscribes, and collects what is heard. */
  function listen() {
    const heard: EventOf<Vocabulary>[] = []
    const stop = bus.subscribe((event) => void heard.push(event))
    return { heard, stop, ids: () => heard.map(({ data }) => data.id) }
  }
  const publish = (...ids: number[]) =>
    Promise.all(ids.map((id) => bus.publish('thing.made', { id })))

  test('tells every subscriber everything, in the order of publication', async () => {
    const [first, second] = [listen(), listen()]
    await publish(1, 2, 3)
    await bus.publish('thing.lost', { id: 4, by: 'eve' })
    expect(first.ids()).toEqual([1, 2, 3, 4])
    expect(second.heard).toEqual(first.heard)
  })

  test('sends CloudEvents 1.0', async () => {
    const { heard } = listen()
    await bus.publish('thing.lost', { id: 1, by: 'eve' })
    expect(heard).toEqual([
      {
        specversion: '1.0',
        id: expect.stringMatching(
          /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/,
        ),
        source,
        type: 'thing.lost',
        time,
        datacontenttype: 'application/json',
        data: { id: 1, by: 'eve' },
      },
    ])
    expect(JSON.parse(JSON.stringify(heard))).toEqual(heard)
  })

  test('gives each event an id of its own, later ones greater', async () => {
    const { heard } = listen()
    await publish(...Array.from({ length: 1000 }, (_, index) => index))
    const ids = heard.map(({ id }) => id)
    expect(new Set(ids).size).toBe(1000)
    expect(ids.toSorted()).toEqual(ids)
  })

  test.each<[string, () => Promise<void>]>([
    [
      'throws',
      () => {
        throw new Error('no ears')
      },
    ],
    ['rejects', () => Promise.reject(new Error('no ears'))],
  ])('logs a subscriber that %s, and nobody else hears of it', async (_, fail) => {
    const before = listen()
    bus.subscribe(fail)
    const after = listen()
    await publish(1, 2)
    await Bun.sleep(0)
    expect(before.ids()).toEqual([1, 2])
    expect(after.ids()).toEqual([1, 2])
    const line = {
      'log.level': 'error',
      'event.type': 'thing.made',
      message: 'a subscriber failed',
      error: { message: 'no ears' },
    }
    expect(lines).toMatchObject([line, line])
  })

  test('does not wait for a slow subscriber', async () => {
    bus.subscribe(() => new Promise(() => {}))
    const { ids } = listen()
    await publish(1)
    expect(ids()).toEqual([1])
  })

  test('tells nothing more to who has unsubscribed', async () => {
    const [leaving, staying] = [listen(), listen()]
    await publish(1)
    leaving.stop()
    leaving.stop()
    await publish(2)
    expect(leaving.ids()).toEqual([1])
    expect(staying.ids()).toEqual([1, 2])
  })

  test('tells what was published before a subscription to nobody', async () => {
    await publish(1)
    const { ids } = listen()
    await publish(2)
    expect(ids()).toEqual([2])
  })

  test('delivers nothing once it is closed', async () => {
    const { heard } = listen()
    await bus.close()
    await publish(1)
    expect(heard).toEqual([])
    await bus.close()
  })
})

describe.each(withRedis('the bus of several instances', (url) => url))('on one Redis', (url) => {
  /** A bus as one of several instances has it. */
  async function openInstance(prefix?: string) {
    const stage = await openTestRedis(url, prefix)
    const bus = openRedisBus<Vocabulary>({
      ...stage,
      vocabulary,
      source: 'https://quintet.example',
      clock: createTestClock(),
    })
    const heard: EventOf<Vocabulary>[] = []
    bus.subscribe((event) => void heard.push(event))
    await until(async () => (await sample(stage.metrics, 'bus_up')) === 1)
    return {
      ...stage,
      bus,
      heard,
      ids: () => heard.map(({ data }) => data.id),
      async close() {
        await bus.close()
        await stage.close()
      },
    }
  }
  type Instance = Awaited<ReturnType<typeof openInstance>>
  let one: Instance
  let other: Instance
  beforeEach(async () => {
    one = await openInstance()
    other = await openInstance(one.prefix)
  })
  afterEach(async () => {
    await Promise.all([one.close(), other.close()])
  })
  const lost = ({ metrics }: Pick<TestRedis, 'metrics'>, reason: string) =>
    sample(metrics, `bus_events_lost_total{reason="${reason}"}`)
  const say = (message: string) => one.redis.commands.publish(`${one.prefix}:bus`, message)

  test('an event is heard at once here, soon there, and nowhere twice', async () => {
    await one.bus.publish('thing.made', { id: 1 })
    expect(one.ids()).toEqual([1])
    await other.bus.publish('thing.lost', { id: 2, by: 'eve' })
    await until(() => one.heard.length === 2 && other.heard.length === 2)
    await Bun.sleep(20)
    expect(one.heard).toEqual([other.heard[1]!, other.heard[0]!])
    expect(other.ids()).toEqual([2, 1])
  })

  test('events of one publisher arrive in their order', async () => {
    const ids = Array.from({ length: 2000 }, (_, index) => index)
    for (const id of ids) {
      void one.bus.publish('thing.made', { id })
      if (id % 100 === 0) await Bun.sleep(0)
    }
    await until(() => other.heard.length === ids.length)
    expect(other.ids()).toEqual(ids)
    expect(await lost(one, 'unsent')).toBeNaN()
  })

  test('what was published before the end is sent before it', async () => {
    for (const id of [1, 2, 3]) void one.bus.publish('thing.made', { id })
    await one.bus.close()
    await one.redis.close()
    await until(() => other.heard.length === 3)
  })

  test('nobody of another prefix hears it', async () => {
    const stranger = await openInstance()
    await one.bus.publish('thing.made', { id: 1 })
    await until(() => other.heard.length === 1)
    expect(stranger.heard).toEqual([])
    await stranger.close()
  })

  const event = {
    specversion: '1.0',
    id: 'e-1',
    source: 'https://other.example',
    type: 'thing.made',
    time: '2026-02-03T04:05:06.789Z',
    datacontenttype: 'application/json',
    data: { id: 7 },
  }
  test('an event of anyone on the channel is heard, without what is not in the vocabulary', async () => {
    await say(JSON.stringify({ instance: 'x', ...event, data: { id: 7, isNew: true } }))
    await until(() => one.heard.length === 1)
    expect(one.heard).toEqual([event as EventOf<Vocabulary>])
  })

  test.each([
    ['no JSON', 'hello'],
    ['no object', 'null'],
    ['no envelope', '{"id":1}'],
    ['another version of CloudEvents', JSON.stringify({ ...event, specversion: '0.3' })],
    ['an unknown type', JSON.stringify({ ...event, type: 'thing.sold' })],
    ['a type of every object', JSON.stringify({ ...event, type: '__proto__' })],
    ['data that do not fit', JSON.stringify({ ...event, data: { id: 'seven' } })],
    ['one that is too large', JSON.stringify({ ...event, padding: 'x'.repeat(1024 * 1024) })],
  ])('%s is dropped, counted and logged, and what follows is heard', async (_, message) => {
    await say(message)
    await say(JSON.stringify(event))
    await until(() => one.heard.length === 1)
    expect(one.heard).toEqual([event as EventOf<Vocabulary>])
    expect(await lost(one, 'malformed')).toBe(1)
    const line = { 'log.level': 'warn', message: 'a message on the bus is no event: dropped' }
    expect(one.lines.filter((each) => each['log.level'] === 'warn')).toMatchObject([line])
  })

  test('an event that is too large stays here, and that is said', async () => {
    await one.bus.publish('thing.lost', { id: 1, by: 'x'.repeat(1024 * 1024) })
    await one.bus.publish('thing.made', { id: 2 })
    await until(() => other.heard.length === 1)
    expect([one.ids(), other.ids()]).toEqual([[1, 2], [2]])
    expect(await lost(one, 'too_large')).toBe(1)
  })
})
