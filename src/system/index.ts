import type { Registry } from 'prom-client'

import type { Events } from '../events.ts'
import type { Route } from '../gateway/route.ts'
import { createSessionCookie } from '../gateway/session-cookie.ts'
import type { Bus } from '../platform/bus/bus.ts'
import type { Clock } from '../platform/clock.ts'
import type { Config } from '../platform/config.ts'
import type { Jobs } from '../platform/jobs/jobs.ts'
import type { Log } from '../platform/log.ts'
import type { Storage } from '../platform/storage/storage.ts'
import { documentRoutes } from './documents.routes.ts'
import { fileRoutes } from './files.routes.ts'
import { type Checks, healthRoutes } from './health.routes.ts'
import { jobRoutes } from './jobs.routes.ts'
import { landingRoutes } from './landing.routes.ts'
import { metricsRoutes } from './metrics.routes.ts'

export interface System {
  /** Every route of the server: the features' and its own. */
  routes: Route[]
  drain(): void
}

/** What belongs to no service: the landing page, health, metrics, jobs, files and the API documents. */
export function createSystem(deps: {
  config: Config
  clock: Clock
  log: Log
  metrics: Registry
  bus: Bus<Events>
  jobs: Jobs
  storage: Storage
  checks: Checks
  /** The features' routes, which the documents describe. */
  routes: Route[]
}): System {
  const { config, clock, log, metrics, bus, jobs, storage, checks } = deps
  const cookie = createSessionCookie({
    publicUrl: config.PUBLIC_URL,
    domain: config.COOKIE_DOMAIN,
  })
  let isDraining = false
  const routes: Route[] = [
    ...deps.routes,
    ...landingRoutes(),
    ...healthRoutes({ checks, clock, log, isDraining: () => isDraining }),
    ...metricsRoutes(metrics),
    ...jobRoutes({ jobs, storage }),
    ...fileRoutes({
      storage,
      uploadBytesMax: config.STORAGE_UPLOAD_BYTES_MAX,
      uploadTimeoutMs: config.STORAGE_UPLOAD_TIMEOUT_MS,
    }),
    ...documentRoutes({ routes: () => routes, cookieName: cookie.name }),
  ]
  jobs.onUpdate(({ ownerId, ...update }) => {
    void bus.publish('jobs.updated', { ...update, owner_id: ownerId })
  })
  return {
    routes,
    drain() {
      isDraining = true
    },
  }
}
