import { expect, test } from 'bun:test'

import { continueTrace, traceparentOf } from './trace-context.ts'

const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736'
const SPAN = '00f067aa0ba902b7'

test.each([
  ['version 00', `00-${TRACE}-${SPAN}-01`, true],
  ['not sampled', `00-${TRACE}-${SPAN}-00`, false],
  ['a later version that says more', `01-${TRACE}-${SPAN}-01-more`, true],
])('%s is continued', (_, traceparent, isSampled) => {
  const context = continueTrace(traceparent, () => !isSampled)
  expect(context).toEqual({
    traceId: TRACE,
    spanId: expect.stringMatching(/^[0-9a-f]{16}$/),
    parentId: SPAN,
    isSampled,
  })
  expect(context.spanId).not.toBe(SPAN)
})

test.each([
  ['nothing', null],
  ['no trace id', `00-${'0'.repeat(32)}-${SPAN}-01`],
  ['no span id', `00-${TRACE}-${'0'.repeat(16)}-01`],
  ['upper case', `00-${TRACE.toUpperCase()}-${SPAN}-01`],
  ['version ff', `ff-${TRACE}-${SPAN}-01`],
  ['version 00 that says more', `00-${TRACE}-${SPAN}-01-more`],
  ['nonsense', 'nonsense'],
])('%s begins a new trace', (_, traceparent) => {
  const context = continueTrace(traceparent, () => false)
  expect(context.traceId).not.toBe(TRACE)
  expect(context.parentId).toBeUndefined()
  expect(traceparentOf(context)).toMatch(/^00-[0-9a-f]{32}-[0-9a-f]{16}-00$/)
})

test('whether a trace that begins here is sampled is asked for by its id', () => {
  const asked: string[] = []
  const context = continueTrace(null, (traceId) => asked.push(traceId) === 1)
  expect(asked).toEqual([context.traceId])
  expect(traceparentOf(context)).toEndWith('-01')
})
