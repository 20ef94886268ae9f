import { type Clock, isoTime } from '../clock.ts'
import type { Log } from '../log.ts'
import type { Bus, EventOf } from './bus.ts'

/** Carries events within this process. */
export function createMemoryBus<Vocabulary>(deps: {
  source: string
  clock: Clock
  log: Log
}): Bus<Vocabulary> {
  const { source, clock, log } = deps
  const subscribers = new Set<(event: EventOf<Vocabulary>) => void | Promise<void>>()
  return {
    driver: 'memory',
    async publish(type, data) {
      const event = {
        specversion: '1.0',
        id: Bun.randomUUIDv7(),
        source,
        type,
        time: isoTime(clock.now()),
        datacontenttype: 'application/json',
        data,
      } as EventOf<Vocabulary>
      for (const hear of subscribers) {
        try {
          Promise.resolve(hear(event)).catch(report)
        } catch (error) {
          report(error)
        }
      }

      function report(error: unknown) {
        log.error({ error, 'event.type': type }, 'a subscriber failed')
      }
    },
    subscribe(hear) {
      subscribers.add(hear)
      return () => subscribers.delete(hear)
    },
    async close() {
      subscribers.clear()
    },
  }
}
