import type { Registry } from 'prom-client'

import type { Events } from '../events.ts'
import type { Bus } from './bus/bus.ts'
import { createMemoryBus } from './bus/memory.ts'
import type { Cache } from './cache/cache.ts'
import { createMemoryCache } from './cache/memory.ts'
import { type Clock, systemClock } from './clock.ts'
import type { Config } from './config.ts'
import type { Database } from './database/database.ts'
import { openPostgres } from './database/postgres.ts'
import { openSqlite } from './database/sqlite.ts'
import type { Log } from './log.ts'
import { createMetrics } from './metrics.ts'
import { openFolderStorage } from './storage/folder.ts'
import { openS3Storage } from './storage/s3.ts'
import type { Storage } from './storage/storage.ts'

/** What every feature stands on. */
export interface Platform {
  config: Config
  clock: Clock
  log: Log
  metrics: Registry
  database: Database
  cache: Cache
  bus: Bus<Events>
  storage: Storage
  /** Closes what was opened, in reverse. */
  close(): Promise<void>
}

/**
 * Chooses a driver for each part and opens it.
 *
 * @throws {StartError} when a part can't be opened, with what to do about it.
 */
export async function openPlatform(
  config: Config,
  log: Log,
  clock: Clock = systemClock,
): Promise<Platform> {
  const database = await openDatabase(config)
  const cache = createMemoryCache(config.CACHE_BYTES_MAX, clock)
  const bus = createMemoryBus<Events>({ source: config.PUBLIC_URL, clock, log })
  const storage = await openStorage(config, clock)
  return {
    config,
    clock,
    log,
    metrics: createMetrics(),
    database,
    cache,
    bus,
    storage,
    async close() {
      await storage.close()
      await bus.close()
      await cache.close()
      await database.close()
    },
  }
}

const openDatabase = (config: Config): Promise<Database> =>
  config.DATABASE_URL === undefined
    ? openSqlite(config.DATA_DIR)
    : openPostgres({
        url: config.DATABASE_URL,
        connectionsMax: config.DATABASE_POOL_MAX,
        statementTimeoutMs: config.REQUEST_TIMEOUT_MS,
      })

async function openStorage(config: Config, clock: Clock): Promise<Storage> {
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
