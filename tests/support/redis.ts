import { Registry } from 'prom-client'

import { openLog } from '../../src/platform/log.ts'
import { openRedis, type Redis } from '../../src/platform/redis/redis.ts'
import { until } from './until.ts'

/** The Redis that `tests/support/services/run.ts` gives the tests. */
const redisUrl = process.env['TEST_REDIS_URL']

/** That driver, or none where there is no Redis; then it says so. */
export function withRedis<Driver>(what: string, driver: (url: string) => Driver): Driver[] {
  if (redisUrl !== undefined) return [driver(redisUrl)]
  process.stderr.write(`skipped: ${what} on Redis, since TEST_REDIS_URL is not set\n`)
  return []
}

/** A connection as the server has it. */
export interface TestRedis {
  url: string
  prefix: string
  redis: Redis
  metrics: Registry
  /** Everything logged so far. */
  lines: Record<string, unknown>[]
  log: ReturnType<typeof openLog>['log']
  /** Lets time pass for what is stored, by taking it from what each key has left to live. */
  pass(ms: number): Promise<void>
  close(): Promise<void>
}

/** Connects, under a prefix of its own unless it is given one to share. */
export async function openTestRedis(
  url: string,
  prefix = `test-${Bun.randomUUIDv7()}`,
): Promise<TestRedis> {
  const lines: Record<string, unknown>[] = []
  const write = (line: string) => void lines.push(JSON.parse(line) as Record<string, unknown>)
  const { log } = openLog({ LOG_LEVEL: 'info' }, { write })
  const metrics = new Registry()
  const redis = openRedis({ url, prefix, log, metrics })
  await until(() => redis.isUp())
  return {
    url,
    prefix,
    redis,
    metrics,
    lines,
    log,
    async pass(ms) {
      for (const key of await redis.commands.keys(`${prefix}:*`)) {
        await redis.commands.pexpire(key, (await redis.commands.pttl(key)) - ms)
      }
    },
    async close() {
      const keys = await redis.commands.keys(`${prefix}:*`).catch(() => [])
      if (keys.length > 0) await redis.commands.del(keys)
      await redis.close()
    },
  }
}

/** The value of a sample without labels, or with exactly these. */
export async function sample(metrics: Registry, name: string): Promise<number> {
  const text = await metrics.metrics()
  const line = text.split('\n').find((each) => each.startsWith(`${name} `))
  return Number(line?.slice(name.length + 1))
}
