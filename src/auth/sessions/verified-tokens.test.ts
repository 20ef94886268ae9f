import { beforeEach, expect, test } from 'bun:test'

import { createTestClock, type TestClock } from '../../../tests/support/clock.ts'
import { refusal } from '../../../tests/support/refusal.ts'
import type { Identity } from '../../gateway/principal.ts'
import { problems } from '../../gateway/problems.ts'
import { createVerifiedTokens, type VerifiedTokens } from './verified-tokens.ts'

const HOUR_MS = 3_600_000
const ada = { kind: 'user', id: 'ada', name: 'Ada' } as unknown as Identity

let clock: TestClock
let reads: number
let loads: number
let isRevoked: boolean
let verified: VerifiedTokens
beforeEach(() => {
  clock = createTestClock()
  ;[reads, loads, isRevoked] = [0, 0, false]
  const expiresAtMs = clock.now() + 24 * HOUR_MS
  verified = createVerifiedTokens({
    read: async () => {
      reads++
      return {
        expiresAtMs,
        load: async () => {
          loads++
          if (isRevoked) throw problems.invalidToken()
          return ada
        },
      }
    },
    clock,
    cacheMax: 10,
  })
})
/** What three get who come at once. */
const answers = () => Promise.all([1, 2, 3].map(async () => String(await refusal(ask()))))
const ask = async () => verified.authenticate('token')
const REFUSED = Array(3).fill('Problem: Invalid token')

test('a token is read once, and whom it stands for is looked up each second', async () => {
  for (let second = 0; second < 3; second++) {
    expect(await verified.authenticate('token')).toBe(ada)
    expect(verified.authenticate('token')).toBe(ada)
    clock.advance(1000)
  }
  expect({ reads, loads }).toEqual({ reads: 1, loads: 3 })
})

test('nobody who comes at once after a pause is let in by what was so before it', async () => {
  await verified.authenticate('token')
  isRevoked = true
  clock.advance(HOUR_MS)
  expect(await answers()).toEqual(REFUSED)
  expect(loads).toBe(2)
})

test('what is remembered never outlives the token', async () => {
  await verified.authenticate('token')
  clock.advance(24 * HOUR_MS - 500)
  expect(await verified.authenticate('token')).toBe(ada)
  expect(verified.authenticate('token')).toBe(ada)
  clock.advance(500)
  for (const told of await answers()) expect(told).toContain('Log in again')
})

test('what is forgotten of somebody is looked up at once', async () => {
  await verified.authenticate('token')
  isRevoked = true
  verified.forget('eve')
  expect(verified.authenticate('token')).toBe(ada)
  verified.forget('ada')
  expect(await answers()).toEqual(REFUSED)
})
