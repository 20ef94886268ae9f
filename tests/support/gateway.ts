import { OpenAPIHono } from '@hono/zod-openapi'
import { Registry } from 'prom-client'

import { type App, createGateway } from '../../src/gateway/gateway.ts'
import type { Identity } from '../../src/gateway/principal.ts'
import { problems } from '../../src/gateway/problems.ts'
import type { Route } from '../../src/gateway/route.ts'
import { parseConfig } from '../../src/platform/config.ts'
import { createMemoryLimits } from '../../src/platform/limits/memory.ts'
import { openLog } from '../../src/platform/log.ts'
import { createNoTracing } from '../../src/platform/tracing/none.ts'
import type { Tracing } from '../../src/platform/tracing/tracing.ts'
import type { TestRequest } from './harness.ts'

/** When it is known whose token `late` is; whose `unheard-of` is never becomes known. */
export const LATE_MS = 60

/** Two accounts, known by their name as token. */
const principals: Record<string, Identity> = {
  ada: accountCalled('ada'),
  eve: accountCalled('eve'),
}

/** The cookie of Ada's browser, and one of a session that is over. */
export const ADAS_COOKIE = `qs_${'a'.repeat(43)}`
export const OLD_COOKIE = `qs_${'z'.repeat(43)}`
const cookies = new Map([[ADAS_COOKIE, 'ada']])

function accountCalled(username: string): Identity {
  return {
    kind: 'account',
    id: `id-of-${username}`,
    username,
    role: 'viewer',
    sessionId: `session-of-${username}`,
    scopes: new Set(['predict', 'models:read']),
  }
}

/** A gateway alone, in front of the routes of a test. */
export function createTestGateway(
  routes: Route[],
  settings: Record<string, string> = {},
  tracing: Tracing = createNoTracing(),
) {
  const config = parseConfig(settings)
  const lines: Record<string, unknown>[] = []
  const { log } = openLog(config, {
    write: (line) => void lines.push(JSON.parse(line) as Record<string, unknown>),
  })
  const metrics = new Registry()
  const app: App = new OpenAPIHono()
  createGateway({
    config,
    log,
    metrics,
    tracing,
    limits: createMemoryLimits({ keysMax: config.RATE_LIMIT_KEYS_MAX }),
    authenticateCookie(secret) {
      const principal = principals[cookies.get(secret) ?? '']
      if (principal === undefined) throw problems.invalidToken()
      return principal
    },
    authenticate(token) {
      if (token === 'unheard-of') return new Promise(() => {})
      if (token === 'late') return Bun.sleep(LATE_MS).then(() => principals['ada']!)
      const principal = principals[token]
      if (principal === undefined) throw problems.invalidToken()
      return principal
    },
    tellRefused: () => {},
    refusalPage: ({ kind }) => new Response(`<h1>${kind.title}</h1>`, { status: kind.status }),
  }).mount(app, routes)

  return {
    lines,
    metrics: () => metrics.metrics(),
    async request({ method, path, token, headers, body, peer }: TestRequest) {
      const init = {
        method: method ?? (body === undefined ? 'GET' : 'POST'),
        headers: {
          host: 'localhost',
          ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
          ...headers,
        },
        ...(body === undefined
          ? {}
          : { body: body as string | Uint8Array<ArrayBuffer> | ReadableStream }),
      }
      const connection = { requestIP: () => ({ address: peer ?? '203.0.113.7' }) }
      return app.fetch(new Request(`http://localhost${path}`, init), { connection })
    },
  }
}
