import type { Registry } from 'prom-client'

import { type Events, events } from '../events.ts'
import { createMemoryBus } from './bus/memory.ts'
import { openRedisBus } from './bus/redis.ts'
import { createMemoryCache } from './cache/memory.ts'
import { createRedisCache } from './cache/redis.ts'
import type { Clock } from './clock.ts'
import type { Config } from './config.ts'
import type { Database } from './database/database.ts'
import { openPostgres } from './database/postgres.ts'
import { openSqlite } from './database/sqlite.ts'
import { createMemoryLimits } from './limits/memory.ts'
import { createRedisLimits } from './limits/redis.ts'
import type { Log } from './log.ts'
import type { Mail } from './mail/mail.ts'
import type { Platform } from './platform.ts'
import { openRedis } from './redis/redis.ts'
import { openFolderStorage } from './storage/folder.ts'
import { openS3Storage } from './storage/s3.ts'
import type { Storage } from './storage/storage.ts'
import { createNoTracing } from './tracing/none.ts'
import type { Tracing } from './tracing/tracing.ts'

const STATEMENT_TIMEOUT_LEAST_MS = 1000

// Which driver each part gets, by the settings: the one place that knows more than one of them.

export function openDatabase(config: Config): Promise<Database> {
  const { DATABASE_URL: url } = config
  if (url === undefined) return openSqlite(config.DATA_DIR)
  return openPostgres({
    url,
    connectionsMax: config.DATABASE_POOL_MAX,
    // The start and the jobs have statements too, however short a request may be.
    statementTimeoutMs: Math.max(config.REQUEST_TIMEOUT_MS, STATEMENT_TIMEOUT_LEAST_MS),
  })
}

/** What instances share where there is a Redis, and what is this process's own without one. */
export function openShared(deps: {
  config: Config
  log: Log
  clock: Clock
  metrics: Registry
}): Pick<Platform, 'cache' | 'bus' | 'limits' | 'close'> {
  const { config, log, clock, metrics } = deps
  const {
    REDIS_URL: url,
    REDIS_PREFIX: prefix,
    PUBLIC_URL: source,
    CACHE_BYTES_MAX: bytesMax,
    RATE_LIMIT_KEYS_MAX: keysMax,
  } = config
  if (url === undefined) {
    const cache = createMemoryCache(bytesMax, clock)
    const bus = createMemoryBus<Events>({ source, clock, log })
    return {
      cache,
      bus,
      limits: createMemoryLimits({ keysMax }),
      async close() {
        await bus.close()
        await cache.close()
      },
    }
  }
  const redis = openRedis({ url, prefix, log, metrics })
  const cache = createRedisCache({ redis, valueBytesMax: bytesMax, metrics })
  const bus = openRedisBus<Events>({ url, redis, vocabulary: events, source, clock, log, metrics })
  return {
    cache,
    bus,
    limits: createRedisLimits({ redis, keysMax, metrics }),
    async close() {
      await bus.close()
      await cache.close()
      await redis.close()
    },
  }
}

export async function openStorage(config: Config, clock: Clock): Promise<Storage> {
  const {
    DATA_DIR: directory,
    S3_BUCKET: bucket,
    STORAGE_UPLOAD_BYTES_MAX: uploadBytesMax,
  } = config
  if (bucket === undefined) {
    return openFolderStorage({ directory, publicUrl: config.PUBLIC_URL, uploadBytesMax, clock })
  }
  return openS3Storage({
    endpoint: config.S3_ENDPOINT,
    bucket,
    region: config.S3_REGION,
    // The settings are refused where one of the two is missing.
    accessKeyId: config.S3_ACCESS_KEY_ID ?? '',
    secretAccessKey: config.S3_SECRET_ACCESS_KEY ?? '',
    prefix: config.S3_PREFIX ?? '',
    directory,
    uploadBytesMax,
    cacheBytesMax: config.STORAGE_CACHE_BYTES_MAX,
    timeoutMs: config.STORAGE_TIMEOUT_MS,
  })
}

/** None where there is no server that takes it. */
export async function openMail(config: Config): Promise<Mail | undefined> {
  const { SMTP_URL: url, MAIL_FROM: from } = config
  if (url === undefined || from === undefined) return undefined
  // Its modules too are only for who uses them.
  const { createSmtpMail } = await import('./mail/smtp.ts')
  return createSmtpMail({ url, from, timeoutMs: config.SMTP_TIMEOUT_MS })
}

export async function openTracing(config: Config, log: Log, metrics: Registry): Promise<Tracing> {
  const { OTEL_EXPORTER_OTLP_ENDPOINT: endpoint } = config
  if (endpoint === undefined) return createNoTracing()
  // OpenTelemetry's modules take 50 ms to load: only for who uses them.
  const { createOtlpTracing } = await import('./tracing/otlp.ts')
  return createOtlpTracing({
    endpoint,
    headers: config.OTEL_EXPORTER_OTLP_HEADERS ?? {},
    serviceName: config.OTEL_SERVICE_NAME,
    share: config.OTEL_TRACES_SAMPLER_ARG,
    log,
    metrics,
  })
}
