import type { Log } from '../log.ts'
import type { Bus, EventOf } from './bus.ts'

/** Who listens in this process. */
export interface Subscribers<Vocabulary> extends Pick<Bus<Vocabulary>, 'subscribe'> {
  /** Tells each of them, now, and waits for none. */
  tell(event: EventOf<Vocabulary>): void
  clear(): void
}

export function createSubscribers<Vocabulary>(log: Log): Subscribers<Vocabulary> {
  const subscribers = new Set<(event: EventOf<Vocabulary>) => void | Promise<void>>()
  return {
    tell(event) {
      for (const hear of subscribers) {
        try {
          Promise.resolve(hear(event)).catch(report)
        } catch (error) {
          report(error)
        }
      }

      function report(error: unknown) {
        log.error({ error, 'event.type': event.type }, 'a subscriber failed')
      }
    },
    subscribe(hear) {
      subscribers.add(hear)
      return () => subscribers.delete(hear)
    },
    clear: () => subscribers.clear(),
  }
}
