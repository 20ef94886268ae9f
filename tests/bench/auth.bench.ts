import type { Comparison } from './compare.ts'
import { CONNECTIONS } from './load.ts'
import { bun, productSettings, signIn } from './product.ts'

const OPEN = 'open route'
const GUARDED = 'signed in'

/** What it costs to know who asks, once the token is remembered: the same route, open and guarded. */
export async function auth(scratch: string): Promise<Comparison> {
  const headers = await signIn(scratch)
  const command = bun('tests/bench/servers/noop.ts')
  const env = { ...productSettings(scratch), LOG_LEVEL: 'warn' }
  return {
    title: `auth: GET of a small JSON through the gateway, no log line, ${CONNECTIONS} connections`,
    load: { path: '/noop', headers },
    probe: { isRight: (answer) => Bun.deepEquals(answer, { ok: true }) },
    contenders: [
      { name: OPEN, command, env: { ...env, NOOP_ACCESS: 'open' } },
      { name: GUARDED, command, env },
    ],
    bars: [
      {
        claim: 'CPU of the guard',
        unit: 'µs',
        limit: { most: 12 },
        read: (of) => of(GUARDED).cpuMicroseconds - of(OPEN).cpuMicroseconds,
      },
    ],
  }
}
