import { expect, test } from 'bun:test'

import { refusal } from '../../../tests/support/refusal.ts'
import { tried } from './load-model.ts'

test('a model that does not run once is released', async () => {
  let released = 0
  const release = async () => void (released += 1)
  const shape = { inputWidth: 1 }
  const sound = { predict: (rows: number) => new Float64Array(rows), release }
  expect(await tried(sound, shape)).toBe(sound)
  expect(released).toBe(0)
  const predict = async () => {
    throw new Error('returns nothing')
  }
  expect(await refusal(tried({ predict, release }, shape))).toMatchObject({
    message: 'returns nothing',
  })
  expect(released).toBe(1)
})
