import { afterEach, beforeEach, describe, expect, test } from 'bun:test'

import { createTestClock } from '../../../tests/support/clock.ts'
import { openLog } from '../log.ts'
import type { Bus, EventOf } from './bus.ts'
import { createMemoryBus } from './memory.ts'

interface Vocabulary {
  'thing.made': { id: number }
  'thing.lost': { id: number; by: string }
}

/** Every driver that the suite runs against. */
const drivers = [{ name: 'memory', open: createMemoryBus<Vocabulary> }]

describe.each(drivers.map((driver) => [driver.name, driver] as const))('%s', (_, { open }) => {
  const source = 'https://quintet.example'
  const time = '2026-02-03T04:05:06.789Z'
  let lines: Record<string, unknown>[]
  let bus: Bus<Vocabulary>
  beforeEach(() => {
    lines = []
    const clock = createTestClock(Date.parse(time))
    const write = (line: string) => void lines.push(JSON.parse(line))
    bus = open({ source, clock, log: openLog({ LOG_LEVEL: 'info' }, { write }).log })
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
