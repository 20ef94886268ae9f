import { join } from 'node:path'

import type { Comparison } from './compare.ts'
import { CONNECTIONS } from './load.ts'
import { bun, productSettings, signIn } from './product.ts'

const MODELS = join(import.meta.dir, 'slow-models')
const IDLE = 'nothing beside'
const BUSY = 'a model of 30 ms back to back'
/** One call runs, and the next one waits for it. */
const CALLERS = 2

/** Whether who looks after the server hears from it while a slow model runs all the time. */
export async function livez(scratch: string): Promise<Comparison> {
  const authorization = await signIn(scratch)
  const product = {
    command: bun('src/main.ts'),
    env: { ...productSettings(scratch), MODELS_DIR: MODELS, WORKERS: '1' },
  }
  return {
    title: `livez: GET of /livez, ${CONNECTIONS} connections, while a slow model runs`,
    load: { path: '/livez', headers: {} },
    probe: { isRight: (answer) => Bun.deepEquals(answer, { status: 'live' }) },
    contenders: [
      { name: IDLE, ...product },
      { name: BUSY, ...product, beside: (baseUrl) => keepBusy(baseUrl, authorization) },
    ],
    bars: [
      {
        claim: 'p99 of /livez beside a model of 30 ms',
        unit: 'ms',
        limit: { most: 20 },
        read: (of) => of(BUSY).p99Ms,
      },
    ],
  }
}

/** Asks the slow model again and again. @returns how to end it, which says how long a call took. */
function keepBusy(baseUrl: string, authorization: Record<string, string>): () => Promise<void> {
  const row = Object.fromEntries(Array.from({ length: 8 }, (_, at) => [`x${at}`, at]))
  const body = JSON.stringify({ model_type: 'slow', features: [row] })
  const headers = { ...authorization, 'content-type': 'application/json' }
  const ending = new AbortController()
  const startedAt = performance.now()
  let calls = 0
  async function ask(): Promise<void> {
    while (!ending.signal.aborted) {
      const response = await fetch(`${baseUrl}/api/v1/predict`, { method: 'POST', headers, body })
      const answer = await response.text()
      if (response.status !== 200) throw new Error(`the slow model answers ${answer}`)
      calls += 1
    }
  }
  const asking = Promise.all(Array.from({ length: CALLERS }, ask))
  return async () => {
    ending.abort()
    await asking
    const ms = (performance.now() - startedAt) / calls
    process.stderr.write(`livez: ${calls} calls of the slow model, one every ${ms.toFixed(0)} ms\n`)
  }
}
