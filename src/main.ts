import { openApp, settingChecks } from './app.ts'
import { type Config, parseConfig } from './platform/config.ts'
import { type Log, openLog } from './platform/log.ts'
import { openPlatform, type Platform } from './platform/platform.ts'
import { StartError } from './platform/start-error.ts'
import { within } from './platform/within.ts'

type App = Awaited<ReturnType<typeof openApp>>
type Server = ReturnType<typeof listen>

const EXIT_FORCED = 130
/** For a step of the stop, beyond what jobs get: enough to notice that a part has fallen silent. */
const STOP_STEP_TIMEOUT_MS = 4000
const IDLE_TIMEOUT_SECONDS_MAX = 255

try {
  await start()
} catch (error) {
  if (!(error instanceof StartError)) throw error
  process.stderr.write(`${error.message}\n`)
  process.exit(1)
}

async function start(): Promise<void> {
  const startedAt = performance.now()
  const config = parseConfig(process.env, settingChecks)
  const { log, close: closeLog } = openLog(config)
  const platform = await openPlatform(config, log)
  const app = await openApp(platform)
  const firstLogin = await app.start()
  const server = listen(config, app)
  stopOnSignal({ config, log, platform, app, server, closeLog })

  log.info(
    {
      database: platform.database.driver,
      cache: platform.cache.driver,
      bus: platform.bus.driver,
      storage: platform.storage.driver,
      rate_limits: platform.limits.driver,
      tracing: platform.tracing.driver,
      models: app.modelNames(),
      workers: config.WORKERS,
      'event.duration': Math.round((performance.now() - startedAt) * 1e6),
    },
    `listening on ${addressOf(server)}`,
  )
  warnOfLoneliness(platform)
  warnOfElsewhere(config, log)
  if (firstLogin !== undefined) announce(firstLogin)
}

function listen(config: Config, app: App) {
  const { PORT: port, HOST: hostname, REQUEST_TIMEOUT_MS } = config
  // Bun cuts a connection that is quiet for 10 s, and so would a slow answer.
  const idleTimeout = Math.min(IDLE_TIMEOUT_SECONDS_MAX, Math.ceil(REQUEST_TIMEOUT_MS / 1000) + 5)
  try {
    return Bun.serve({
      port,
      hostname,
      idleTimeout,
      development: false,
      // Bodies are bounded by the gateway, which answers with a problem document. Bun would by a bare 413.
      maxRequestBodySize: Number.MAX_SAFE_INTEGER,
      // Without it a second server would share the port, with another database behind it.
      reusePort: false,
      fetch: (request, connection) => app.fetch(request, { connection }),
    })
  } catch (cause) {
    if (!(cause instanceof Error && 'code' in cause)) throw cause
    const mend =
      cause.code === 'EADDRINUSE'
        ? `Port ${port} on ${hostname} is taken, if it is this machine's. Stop what listens there, or set PORT to a free one.`
        : `The server can't listen on ${hostname}, port ${port} (${cause.message}). Set HOST and PORT.`
    throw new StartError(mend, { cause })
  }
}

/** One of the two shared parts is no use to a second instance, though it may be to this one. */
function warnOfLoneliness({ database, bus, log }: Platform): void {
  if (database.driver === 'postgres' && bus.driver === 'memory') {
    log.warn('a second instance on this database needs REDIS_URL too')
  } else if (database.driver === 'sqlite' && bus.driver === 'redis') {
    log.warn('a second instance on this Redis needs DATABASE_URL too')
  }
}

/** The issuer of tokens is not to change with the port, so that the address does not follow it by itself. */
function warnOfElsewhere({ PORT: port, PUBLIC_URL: publicUrl }: Config, log: Log): void {
  const isSet = (process.env['PUBLIC_URL'] ?? '') !== ''
  // Who has a free one picked asks for no links.
  if (isSet || port === 0 || String(port) === new URL(publicUrl).port) return
  log.warn(
    `links, passkeys and sign-in are for ${publicUrl}, and the server listens on port ${port}: set PUBLIC_URL to the address at which people find it`,
  )
}

/** As one types it into a browser on this machine. */
function addressOf({ hostname, port }: Server): string {
  const host = hostname === '127.0.0.1' || hostname === '0.0.0.0' ? 'localhost' : hostname
  return `http://${host}:${port}`
}

/** Once, on standard error: logs are kept, a password must not be. */
function announce({ username, password }: { username: string; password: string }): void {
  process.stderr.write(
    `\n  Administrator: ${username}\n  Password:      ${password}\n` +
      '  It is shown this once. scripts/admin reset makes a new one.\n\n',
  )
}

/** Not ready → stop accepting → finish what runs → release workers → close in reverse order. */
function stopOnSignal(running: {
  config: Config
  log: Log
  platform: Platform
  app: App
  server: Server
  closeLog: () => Promise<void>
}): void {
  const { config, log, platform, app, server, closeLog } = running
  let isStopping = false

  /** What is acknowledged is committed, so that nothing is lost with a part that is left open. */
  const inTime = (step: string, ms: number, work: Promise<void>): Promise<boolean> =>
    within(
      ms,
      work.then(
        () => true,
        (error: unknown) => {
          log.error({ error, step }, 'a step of the stop failed')
          return false
        },
      ),
      () => {
        log.warn({ step }, 'the stop is cut short: a step took too long')
        return false
      },
    )

  /** @returns whether all of it was done. */
  async function stop(signal: string): Promise<boolean> {
    log.info(`${signal}: finishing what runs`)
    app.drain()
    await Bun.sleep(config.DRAIN_DELAY_MS)
    const deadline = performance.now() + config.DRAIN_TIMEOUT_MS
    const isDrained = await Promise.race([
      server.stop().then(() => true),
      Bun.sleep(config.DRAIN_TIMEOUT_MS).then(() => false),
    ])
    if (!isDrained) {
      log.warn({ requests: server.pendingRequests }, 'requests are cut: they took too long')
      await server.stop(true)
    }
    const leftMs = Math.max(0, deadline - performance.now())
    const steps = [
      await inTime('app', leftMs + STOP_STEP_TIMEOUT_MS, app.stop(leftMs)),
      await inTime('platform', STOP_STEP_TIMEOUT_MS, platform.close()),
    ]
    log.info('stopped')
    return !steps.includes(false)
  }

  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.on(signal, () => {
      if (isStopping) process.exit(EXIT_FORCED)
      isStopping = true
      stop(signal)
        .then((isWhole) => (isWhole ? 0 : 1))
        .catch((error: unknown) => {
          log.error({ error }, 'the stop failed')
          return 1
        })
        .then(async (code) => {
          await closeLog()
          process.exit(code)
        })
        .catch(() => process.exit(1))
    })
  }
}
