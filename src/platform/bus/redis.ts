import { LRUCache } from 'lru-cache'
import { Gauge, type Registry } from 'prom-client'
import { z } from 'zod'

import type { Clock } from '../clock.ts'
import type { Log } from '../log.ts'
import type { Redis } from '../redis/redis.ts'
import { openSubscription } from '../redis/subscription.ts'
import { tallyCounter } from '../tally.ts'
import type { Bus, EventOf } from './bus.ts'
import { envelop } from './envelope.ts'
import { createSubscribers } from './subscribers.ts'

/** Beyond it an event stays in this process: what is large belongs in a file, and its name in the event. */
const MESSAGE_CHARACTERS_MAX = 1024 * 1024
/** Events on their way to Redis; beyond it they stay in this process, since memory is not filled with them. */
const UNSENT_MAX = 10_000
/** Forwarded events that are remembered, in case that they are forwarded again. */
const FORWARDED_MAX = 10_000

const envelope = z.object({
  specversion: z.literal('1.0'),
  id: z.string().min(1),
  source: z.string().min(1),
  type: z.string().min(1),
  time: z.iso.datetime(),
  datacontenttype: z.literal('application/json'),
  data: z.unknown(),
})

/**
 * Carries events between all instances on one Redis, by publish and subscribe: to subscribers here
 * at once, whether or not Redis is there; to those elsewhere while it is. What crosses is the
 * event's JSON with the extension attribute `instance`, by which a sender knows its own.
 *
 * What other instances publish while Redis is away is lost, and so is what this one publishes to
 * them: who must not miss anything reads it from the database.
 *
 * @param deps.vocabulary checks what arrives: another instance may be of another version.
 */
export function openRedisBus<Vocabulary>(deps: {
  url: string
  redis: Redis
  vocabulary: { [Type in keyof Vocabulary]: z.ZodType<Vocabulary[Type]> }
  source: string
  clock: Clock
  log: Log
  metrics: Registry
}): Bus<Vocabulary> {
  const { redis, log } = deps
  const channel = `${redis.prefix}bus`
  const vocabulary = new Map<string, z.ZodType>(Object.entries(deps.vocabulary))
  const instance = Bun.randomUUIDv7()
  const ownHead = `{"instance":"${instance}"`
  const subscribers = createSubscribers<Vocabulary>(log)
  const unsent = new Set<Promise<unknown>>()
  const forwarded = new LRUCache<string, true>({ max: FORWARDED_MAX })
  let isClosed = false
  let downSince = performance.now()

  const lost = tallyCounter({
    name: 'bus_events_lost_total',
    help: 'Events that did not cross between instances: not sent, too large, or no event at all.',
    labelNames: ['reason'],
    registry: deps.metrics,
  })
  const losses = {
    unsent: lost({ reason: 'unsent' }),
    tooLarge: lost({ reason: 'too_large' }),
    malformed: lost({ reason: 'malformed' }),
  }
  const heard = tallyCounter({
    name: 'bus_events_heard_total',
    help: 'Events of other instances that were heard.',
    labelNames: [],
    registry: deps.metrics,
  })({})
  new Gauge({
    name: 'bus_up',
    help: 'Whether events of other instances are heard.',
    registers: [deps.metrics],
    collect() {
      this.set(subscription.isHearing() ? 1 : 0)
    },
  })

  const subscription = openSubscription({
    url: deps.url,
    channel,
    hear,
    changed(isHearing, reason) {
      if (isHearing) {
        const duration = Math.round((performance.now() - downSince) * 1e6)
        log.info({ 'event.duration': duration }, 'the bus hears other instances')
        return
      }
      downSince = performance.now()
      log.warn({ error: reason }, 'the bus is down: what other instances publish now is lost')
    },
  })

  function hear(message: string): void {
    if (message.startsWith(ownHead)) return
    try {
      subscribers.tell(read(message))
      heard.inc()
    } catch (error) {
      losses.malformed.inc()
      log.warn({ error, characters: message.length }, 'a message on the bus is no event: dropped')
    }
  }

  function read(message: string): EventOf<Vocabulary> {
    if (message.length > MESSAGE_CHARACTERS_MAX) throw new Error('it is too large')
    const event = envelope.parse(JSON.parse(message))
    const schema = vocabulary.get(event.type)
    if (schema === undefined) throw new Error('this version does not know its type')
    return { ...event, data: schema.parse(event.data) } as EventOf<Vocabulary>
  }

  /** @returns once Redis has it; an event that no other instance can ever be told is done with. */
  async function send(event: EventOf<Vocabulary>): Promise<void> {
    const message = `${ownHead},${JSON.stringify(event).slice(1)}`
    if (message.length > MESSAGE_CHARACTERS_MAX) {
      losses.tooLarge.inc()
      log.warn(
        { 'event.type': event.type, characters: message.length },
        'an event is too large for the bus: other instances do not hear it',
      )
      return
    }
    if (unsent.size >= UNSENT_MAX) throw new Error('too many events are on their way to Redis')
    const sent = redis.ask(() => redis.commands.publish(channel, message))
    unsent.add(sent)
    const forget = () => unsent.delete(sent)
    sent.then(forget, forget)
    await sent
  }

  return {
    driver: 'redis',
    async publish(type, data) {
      if (isClosed) return
      const event = envelop<Vocabulary, typeof type>(deps, type, data)
      subscribers.tell(event)
      // Not waited for: who publishes has done its work, however slow Redis is.
      send(event).catch(() => losses.unsent.inc())
    },
    async forward(event) {
      if (isClosed) throw new Error('the bus is closed')
      if (!forwarded.has(event.id)) subscribers.tell(event)
      forwarded.set(event.id, true)
      await send(event)
    },
    subscribe: subscribers.subscribe,
    async close() {
      isClosed = true
      subscribers.clear()
      await Promise.allSettled(unsent)
      await subscription.close()
    },
  }
}
