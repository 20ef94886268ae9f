import { expect, test } from 'bun:test'

import { createTurns } from './turns.ts'

const nextTurn = () => new Promise<void>((resolve) => setImmediate(resolve))

test('answers that are ready in the turn of their requests leave at its end, together', async () => {
  const enter = createTurns()
  const [one, other] = [enter(), enter()]
  const left: string[] = []
  void one()!.then(() => left.push('one'))
  await Promise.resolve()
  void other()!.then(() => left.push('other'))
  await Promise.resolve()
  expect(left).toEqual([])
  await nextTurn()
  expect(left).toEqual(['one', 'other'])
})

test('an answer that is ready later leaves at once', async () => {
  const enter = createTurns()
  const late = enter()
  await nextTurn()
  expect(late()).toBeUndefined()
  // Also in the turn of others.
  const next = enter()
  expect(late()).toBeUndefined()
  expect(next()).toBeInstanceOf(Promise)
})
