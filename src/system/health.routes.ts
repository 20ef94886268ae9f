import { z } from '@hono/zod-openapi'

import { type Route, route } from '../gateway/route.ts'
import { type Clock, isoTime } from '../platform/clock.ts'
import type { Log } from '../platform/log.ts'

/** Each rejects with the reason for which the server can't do its work. */
export type Checks = Record<string, () => Promise<void>>

const health = z.object({
  status: z.enum(['healthy', 'unhealthy']),
  service: z.string(),
  timestamp: z.iso.datetime(),
})
const timestamp = '2026-01-02T03:04:05.678Z'

const state = z.enum(['ok', 'failed'])
const readiness = z.object({
  status: z.enum(['ready', 'not ready', 'draining']),
  checks: z.record(z.string(), state),
})

export function healthRoutes(deps: {
  checks: Checks
  clock: Clock
  log: Log
  isDraining: () => boolean
}): Route[] {
  const { checks, clock, log, isDraining } = deps

  async function runChecks(): Promise<Record<string, z.output<typeof state>>> {
    const results = Object.entries(checks).map(async ([name, check]) => {
      const outcome = await check().then(
        () => 'ok' as const,
        (error: unknown) => {
          log.warn({ error, check: name }, 'a readiness check failed')
          return 'failed' as const
        },
      )
      return [name, outcome] as const
    })
    return Object.fromEntries(await Promise.all(results))
  }
  const isOk = (results: Record<string, z.output<typeof state>>) =>
    Object.values(results).every((result) => result === 'ok')

  return [
    route(
      {
        method: 'get',
        path: '/health',
        access: 'open',
        rate: 'none',
        tag: 'system',
        summary: 'Is the service healthy',
        answers: {
          200: {
            description: 'It is',
            schema: health,
            example: { status: 'healthy', service: 'quintet', timestamp },
          },
          503: {
            description: 'Something that it needs does not work',
            schema: health,
            example: { status: 'unhealthy', service: 'quintet', timestamp },
          },
        },
      },
      async () => {
        const isHealthy = isOk(await runChecks())
        return {
          status: isHealthy ? 200 : 503,
          body: {
            status: isHealthy ? 'healthy' : 'unhealthy',
            service: 'quintet',
            timestamp: isoTime(clock.now()),
          },
        }
      },
    ),

    route(
      {
        method: 'get',
        path: '/livez',
        access: 'open',
        isSelfContained: true,
        rate: 'none',
        tag: 'system',
        summary: 'Does the process answer',
        description: 'When it does not, restart it.',
        answers: {
          200: {
            description: 'It does',
            schema: z.object({ status: z.literal('live') }),
            example: { status: 'live' },
          },
        },
      },
      () => ({ body: { status: 'live' } }),
    ),

    route(
      {
        method: 'get',
        path: '/readyz',
        access: 'open',
        rate: 'none',
        tag: 'system',
        summary: 'May requests be sent here',
        description: 'Not while it shuts down, nor while something that it needs does not work.',
        answers: {
          200: {
            description: 'They may',
            schema: readiness,
            example: {
              status: 'ready',
              checks: { database: 'ok', migrations: 'ok', models: 'ok' },
            },
          },
          503: {
            description: 'They may not',
            schema: readiness,
            example: {
              status: 'not ready',
              checks: { database: 'failed', migrations: 'ok', models: 'ok' },
            },
          },
        },
      },
      async () => {
        const results = await runChecks()
        const isReady = isOk(results) && !isDraining()
        const status = isDraining() ? 'draining' : isReady ? 'ready' : 'not ready'
        return { status: isReady ? 200 : 503, body: { status, checks: results } }
      },
    ),
  ]
}
