import type { Comparison } from './compare.ts'
import { CONNECTIONS } from './load.ts'
import { bun, productSettings, signIn } from './product.ts'

const RAW = 'raw Bun.serve'
const HONO = 'bare Hono'
const LOGGED = 'gateway'
const UNLOGGED = 'gateway, no log line'

/** What the gateway costs a request: a route behind it that does nothing, beside servers without one. */
export async function gateway(scratch: string): Promise<Comparison> {
  const headers = await signIn(scratch)
  const noop = { command: bun('tests/bench/servers/noop.ts') }
  const settings = productSettings(scratch)
  return {
    title: `gateway: GET of a small JSON, signed in, ${CONNECTIONS} connections`,
    load: { path: '/noop', headers },
    probe: { isRight: (answer) => Bun.deepEquals(answer, { ok: true }) },
    contenders: [
      { name: RAW, command: bun('tests/bench/servers/raw.ts'), env: {} },
      { name: HONO, command: bun('tests/bench/servers/hono.ts'), env: {} },
      { name: LOGGED, ...noop, env: { ...settings, LOG_LEVEL: 'info' } },
      { name: UNLOGGED, ...noop, env: { ...settings, LOG_LEVEL: 'warn' } },
    ],
    bars: [
      {
        claim: 'CPU over bare Hono, no log line',
        unit: 'µs',
        limit: { most: 25 },
        read: (of) => of(UNLOGGED).cpuMicroseconds - of(HONO).cpuMicroseconds,
      },
      {
        claim: 'CPU over bare Hono',
        unit: 'µs',
        limit: { most: 40 },
        read: (of) => of(LOGGED).cpuMicroseconds - of(HONO).cpuMicroseconds,
      },
      {
        claim: 'req/s of raw Bun.serve',
        unit: '×',
        limit: { least: 0.25 },
        read: (of) => of(LOGGED).requestsPerSecond / of(RAW).requestsPerSecond,
      },
    ],
  }
}
