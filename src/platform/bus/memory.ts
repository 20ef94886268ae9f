import type { Clock } from '../clock.ts'
import type { Log } from '../log.ts'
import type { Bus } from './bus.ts'
import { envelop } from './envelope.ts'
import { createSubscribers } from './subscribers.ts'

/** Carries events within this process. */
export function createMemoryBus<Vocabulary>(deps: {
  source: string
  clock: Clock
  log: Log
}): Bus<Vocabulary> {
  const subscribers = createSubscribers<Vocabulary>(deps.log)
  return {
    driver: 'memory',
    async publish(type, data) {
      subscribers.tell(envelop<Vocabulary, typeof type>(deps, type, data))
    },
    subscribe: subscribers.subscribe,
    async close() {
      subscribers.clear()
    },
  }
}
