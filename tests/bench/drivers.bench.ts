import { Redis as Client } from 'ioredis'
import { Registry } from 'prom-client'

import { createRedisCache } from '../../src/platform/cache/redis.ts'
import { openLog } from '../../src/platform/log.ts'
import { commandOptions, openRedis } from '../../src/platform/redis/redis.ts'
import { startServer } from './child.ts'
import type { Comparison } from './compare.ts'
import { databases } from './database.bench.ts'
import { CONNECTIONS } from './load.ts'
import { bun, productSettings, signIn } from './product.ts'
import type { Race } from './race.ts'

const IN_FLIGHT = 50
const VALUE_BYTES = 256
const TTL_SECONDS = 3600

/** What the drivers of several instances cost beside those of one process, and beside the bare client. */
export async function drivers(scratch: string): Promise<(Comparison | Race)[]> {
  const url = await startRedis(scratch)
  return [await limits(scratch, url), await cachedRead(url), ...(await databases(scratch))]
}

/** It ends with this process. */
async function startRedis(scratch: string): Promise<string> {
  if (Bun.which('redis-server') === null) {
    throw new Error('Measuring the drivers needs redis-server: install the package redis-server.')
  }
  const { url } = await startServer({
    command: ['sh', '-c', `exec redis-server --port "$PORT" --bind 127.0.0.1 --save ''`],
    env: {},
    output: `${scratch}/redis.log`,
  })
  return url.replace('http:', 'redis:')
}

async function limits(scratch: string, url: string): Promise<Comparison> {
  const MEMORY = 'limits in memory'
  const REDIS = 'limits in Redis'
  const headers = await signIn(scratch)
  const command = bun('tests/bench/servers/noop.ts')
  const env = { ...productSettings(scratch), LOG_LEVEL: 'warn' }
  return {
    title: `rate limits: GET through the gateway, signed in, no log line, ${CONNECTIONS} connections`,
    load: { path: '/noop', headers },
    probe: { isRight: (answer) => Bun.deepEquals(answer, { ok: true }) },
    contenders: [
      { name: MEMORY, command, env },
      { name: REDIS, command, env: { ...env, REDIS_URL: url } },
    ],
    bars: [
      {
        claim: 'CPU over limits in memory',
        unit: 'µs',
        limit: { most: 35 },
        read: (of) => of(REDIS).cpuMicroseconds - of(MEMORY).cpuMicroseconds,
      },
    ],
  }
}

async function cachedRead(url: string): Promise<Race> {
  const BARE = 'ioredis GET'
  const CACHE = 'cache.get'
  const { log } = openLog({ LOG_LEVEL: 'warn' }, { write: (line) => process.stderr.write(line) })
  const metrics = new Registry()
  const redis = openRedis({ url, prefix: 'bench', log, metrics })
  const bare = new Client(url, commandOptions)
  while (!redis.isUp() || bare.status !== 'ready') await Bun.sleep(1)

  const cache = createRedisCache({ redis, metrics, valueBytesMax: VALUE_BYTES })
  const value = crypto.getRandomValues(new Uint8Array(VALUE_BYTES))
  await cache.set('value', value, TTL_SECONDS)
  const read = () => cache.get('value')
  const readBare = () => bare.getBuffer('bench:cache:value')
  for (const answer of [await read(), await readBare()]) {
    if (answer === undefined || answer === null || !value.every((byte, at) => byte === answer[at]))
      throw new Error('the value that was read is not the one that was written')
  }
  return {
    title: `cache: read of ${VALUE_BYTES} bytes from Redis, ${IN_FLIGHT} in flight`,
    inFlight: IN_FLIGHT,
    contenders: [
      { name: BARE, operate: readBare },
      { name: CACHE, operate: read },
    ],
    bars: [
      {
        claim: 'time of a bare GET',
        unit: '×',
        limit: { most: 1.2 },
        read: (of) => of(BARE).requestsPerSecond / of(CACHE).requestsPerSecond,
      },
    ],
  }
}
