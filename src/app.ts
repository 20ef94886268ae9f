import { OpenAPIHono } from '@hono/zod-openapi'

import { createAuth, providersFault, usernameFault } from './auth/index.ts'
import { createData, createEngines, createTableFiles } from './data/index.ts'
import { type App, createGateway } from './gateway/gateway.ts'
import { scopesFault } from './gateway/scopes.ts'
import { openInference } from './inference/index.ts'
import type { SettingChecks } from './platform/config.ts'
import type { Platform } from './platform/platform.ts'
import { createSystem } from './system/index.ts'

/** What can be said of a setting only by who knows its words. */
export const settingChecks: SettingChecks = {
  ANONYMOUS_SCOPES: scopesFault,
  ADMIN_USERNAME: usernameFault,
  SSO_PROVIDERS: providersFault,
}

/** What tests put in the place of parts that fail. */
interface Substitutes {
  /** What runs in the threads of the models. */
  workerScript?: URL
}

/**
 * The contents page: every feature is built here, handed what it needs, and mounted behind the
 * gateway. What starts in this order stops in reverse.
 *
 * @throws {StartError} when a feature can't serve, with what to do about it.
 */
export async function openApp(platform: Platform, { workerScript }: Substitutes = {}) {
  const { database, jobs, outbox } = platform

  const auth = createAuth(platform)
  const engines = createEngines(platform)
  const inference = await openInference({
    ...platform,
    access: auth.access,
    ownership: auth.ownership,
    identity: auth.identity,
    tableFiles: createTableFiles({ ...platform, engine: engines.answers }),
    workerScript,
  })
  const data = createData({
    ...platform,
    access: auth.access,
    ownership: auth.ownership,
    identity: auth.identity,
    engines,
    scorer: inference.scorer,
  })
  const system = createSystem({
    ...platform,
    routes: [...auth.routes, ...inference.routes, ...data.routes],
    checks: {
      database: () => database.ping(),
      migrations: () => database.requireMigrated(),
      models: () => inference.requireReady(),
    },
  })

  const app: App = new OpenAPIHono()
  const gateway = createGateway({
    ...platform,
    authenticate: auth.authenticate,
    authenticateCookie: auth.authenticateCookie,
    tellRefused: auth.tellRefused,
    refusalPage: auth.refusalPage,
  })
  gateway.mount(app, system.routes)

  return {
    fetch: app.fetch,
    routes: system.routes,
    auth,
    modelNames: inference.modelNames,
    /** Begins what goes on beside the requests. @returns how to log in for the first time, once. */
    async start() {
      const firstLogin = await auth.start()
      await inference.start(await auth.administratorId())
      await outbox.start()
      await jobs.start()
      return firstLogin
    },
    /** From now on `/readyz` says no, so that no new work is sent here. */
    drain: () => system.drain(),
    /** @param deadlineMs that running jobs get to finish; then they are given back. */
    async stop(deadlineMs: number) {
      await jobs.stop(deadlineMs)
      await outbox.stop()
      await data.stop()
      await inference.stop()
      await auth.stop()
    },
  }
}
