import { type Clock, isoTime } from '../clock.ts'
import type { EventOf } from './bus.ts'

/** Puts what happened into an envelope, with an id and the time. */
export function envelop<Vocabulary, Type extends keyof Vocabulary & string>(
  deps: { source: string; clock: Clock },
  type: Type,
  data: Vocabulary[Type],
): EventOf<Vocabulary> {
  return {
    specversion: '1.0',
    id: Bun.randomUUIDv7(),
    source: deps.source,
    type,
    time: isoTime(deps.clock.now()),
    datacontenttype: 'application/json',
    data,
  }
}
