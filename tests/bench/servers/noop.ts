// The product's gateway, with sign-in, before a route that does nothing. Settings as of src/main.ts.
import { OpenAPIHono } from '@hono/zod-openapi'

import { createAuth } from '../../../src/auth/index.ts'
import { type App, createGateway } from '../../../src/gateway/gateway.ts'
import { route } from '../../../src/gateway/route.ts'
import { parseConfig } from '../../../src/platform/config.ts'
import { openLog } from '../../../src/platform/log.ts'
import { openPlatform } from '../../../src/platform/platform.ts'

const access = process.env['NOOP_ACCESS'] === 'open' ? 'open' : 'signed-in'
const noop = route(
  { method: 'get', path: '/noop', access, tag: '', summary: '', answers: {} },
  () => ({ body: { ok: true } }),
)

const config = parseConfig(process.env)
const { log } = openLog(config)
const platform = await openPlatform(config, log)
const auth = createAuth(platform)
await auth.start()

const app: App = new OpenAPIHono()
const gateway = createGateway({
  ...platform,
  authenticate: auth.authenticate,
  authenticateCookie: auth.authenticateCookie,
  tellRefused: auth.tellRefused,
  refusalPage: auth.refusalPage,
})
gateway.mount(app, [...auth.routes, noop])

Bun.serve({
  port: config.PORT,
  hostname: config.HOST,
  development: false,
  fetch: (request, connection) => app.fetch(request, { connection }),
})
