import { Gauge, type Registry } from 'prom-client'

import { type CounterTally, tallyCounter, tallyHistogram } from '../platform/tally.ts'

const BUCKETS_SECONDS = [0.001, 0.01, 0.1, 0.5, 1, 5]

/** Counts and times the requests of one route. */
export interface RouteMetrics {
  observe(status: number, seconds: number): void
}

export interface RequestMetrics {
  readonly active: { inc(): void; dec(): void }
  /** `endpoint` is a route's template, never a path that a client chose. */
  forRoute(method: string, endpoint: string): RouteMetrics
}

export function createRequestMetrics(registry: Registry): RequestMetrics {
  const total = tallyCounter({
    name: 'http_requests_total',
    help: 'Answered requests.',
    labelNames: ['method', 'endpoint', 'status'],
    registry,
  })
  const duration = tallyHistogram({
    name: 'http_request_duration_seconds',
    help: 'Time from the first byte of a request to its answer.',
    labelNames: ['method', 'endpoint'],
    buckets: BUCKETS_SECONDS,
    registry,
  })
  const active = new Gauge({
    name: 'http_requests_active',
    help: 'Requests that are being answered.',
    registers: [registry],
  })
  return {
    active,
    forRoute(method, endpoint) {
      const timer = duration({ method, endpoint })
      const counters = new Map<number, CounterTally>()
      return {
        observe(status, seconds) {
          let counter = counters.get(status)
          if (counter === undefined) {
            counter = total({ method, endpoint, status: String(status) })
            counters.set(status, counter)
          }
          counter.inc()
          timer.observe(seconds)
        },
      }
    },
  }
}
