import { afterAll, expect, test } from 'bun:test'

import { refusal } from '../../../tests/support/refusal.ts'
import { until } from '../../../tests/support/until.ts'
import { Unavailable } from '../../platform/unavailable.ts'
import { ANSWER_BYTES_MAX, outwardFetch } from './outward-fetch.ts'

let isCancelled = false
const server = Bun.serve({
  port: 0,
  hostname: '127.0.0.1',
  fetch(request) {
    const { pathname, searchParams } = new URL(request.url)
    if (pathname === '/never') return new Promise<Response>(() => {})
    if (pathname === '/elsewhere') return Response.redirect('http://127.0.0.1:1/', 302)
    if (pathname === '/broken') return new Response('oops', { status: 503 })
    if (pathname === '/none') return new Response(null, { status: 204 })
    if (pathname === '/endless') {
      const body = new ReadableStream({
        pull: (controller) => controller.enqueue(new Uint8Array(65_536)),
        cancel() {
          isCancelled = true
        },
      })
      return new Response(body)
    }
    if (pathname === '/bomb') {
      const zeros = Bun.gzipSync(new Uint8Array(ANSWER_BYTES_MAX + 1))
      return new Response(zeros, { headers: { 'content-encoding': 'gzip' } })
    }
    return new Response('x'.repeat(Number(searchParams.get('bytes'))))
  },
})
afterAll(() => server.stop(true))

const ask = (path: string, signal?: AbortSignal, timeoutMs = 5_000) =>
  outwardFetch(`http://127.0.0.1:${server.port}${path}`, {}, { name: 'x', timeoutMs, signal })
const fault = async (answer: Promise<Response>) => {
  const error = await refusal(answer)
  expect(error).toBeInstanceOf(Unavailable)
  return (error as Unavailable).cause as Error
}

test('an answer of the largest size is read whole, one byte more is refused', async () => {
  const whole = await ask(`/?bytes=${ANSWER_BYTES_MAX}`)
  expect((await whole.text()).length).toBe(ANSWER_BYTES_MAX)
  expect((await fault(ask(`/?bytes=${ANSWER_BYTES_MAX + 1}`))).message).toContain('has over')
})

test('an answer without end is cut', async () => {
  expect((await fault(ask('/endless'))).message).toContain('has over')
  await until(() => isCancelled)
})

test('what unfolds to too much is refused', async () => {
  expect((await fault(ask('/bomb'))).message).toContain('has over')
})

test('what does not come in time is not waited for', async () => {
  const began = performance.now()
  expect((await fault(ask('/never', undefined, 50))).name).toBe('TimeoutError')
  expect(performance.now() - began).toBeLessThan(2_000)
})

test('when nobody waits any more, neither does this', async () => {
  const controller = new AbortController()
  const answer = ask('/never', controller.signal)
  controller.abort()
  expect((await fault(answer)).name).toBe('AbortError')
})

test('who is broken or gone is away, who sends elsewhere is not followed', async () => {
  expect((await fault(ask('/broken'))).message).toContain('503')
  await fault(outwardFetch('http://127.0.0.1:1/', {}, { name: 'x', timeoutMs: 5_000 }))
  expect((await ask('/elsewhere')).status).toBe(302)
  expect((await ask('/none')).status).toBe(204)
})
