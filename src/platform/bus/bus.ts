/** A CloudEvents 1.0 envelope. */
interface BusEvent<Type extends string = string, Data = unknown> {
  specversion: '1.0'
  /** A UUIDv7: unique, and in the order of publication. */
  id: string
  source: string
  type: Type
  /** ISO 8601, UTC. */
  time: string
  datacontenttype: 'application/json'
  data: Data
}

/** An event of a vocabulary, which maps each type to its data. */
export type EventOf<Vocabulary> = {
  [Type in keyof Vocabulary & string]: BusEvent<Type, Vocabulary[Type]>
}[keyof Vocabulary & string]

/**
 * Tells what happened to whoever wants to know. Publish after the commit: subscribers act on what
 * is so. Events of one publisher arrive in their order.
 */
export interface Bus<Vocabulary> {
  readonly driver: 'memory' | 'redis'
  publish<Type extends keyof Vocabulary & string>(type: Type, data: Vocabulary[Type]): Promise<void>
  /**
   * Publishes an event that was made before, as it is. Rejects where other instances can't be told
   * now; however often that is tried again, subscribers here hear of it once.
   */
  forward(event: EventOf<Vocabulary>): Promise<void>
  /** Hears every event; what it throws is logged and reaches nobody else. Returns how to stop. */
  subscribe(hear: (event: EventOf<Vocabulary>) => void | Promise<void>): () => void
  close(): Promise<void>
}
