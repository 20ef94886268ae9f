import type { Registry } from 'prom-client'

import type { Route } from '../gateway/route.ts'
import type { Clock } from '../platform/clock.ts'
import type { Log } from '../platform/log.ts'
import { documentRoutes } from './documents.routes.ts'
import { type Checks, healthRoutes } from './health.routes.ts'
import { landingRoutes } from './landing.routes.ts'
import { metricsRoutes } from './metrics.routes.ts'

export interface System {
  /** Every route of the server: the features' and its own. */
  routes: Route[]
  drain(): void
}

/** What belongs to no service: the landing page, health, metrics and the API documents. */
export function createSystem(deps: {
  clock: Clock
  log: Log
  metrics: Registry
  checks: Checks
  /** The features' routes, which the documents describe. */
  routes: Route[]
}): System {
  const { clock, log, metrics, checks } = deps
  let isDraining = false
  const routes: Route[] = [
    ...deps.routes,
    ...landingRoutes(),
    ...healthRoutes({ checks, clock, log, isDraining: () => isDraining }),
    ...metricsRoutes(metrics),
    ...documentRoutes(() => routes),
  ]
  return {
    routes,
    drain() {
      isDraining = true
    },
  }
}
