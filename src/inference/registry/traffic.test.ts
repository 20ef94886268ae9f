import { expect, test } from 'bun:test'

import type { Identity } from '../../gateway/principal.ts'
import { LATEST, placeOf, versionsOf } from './traffic.ts'

const person = (id: string): Identity => ({
  kind: 'account',
  id,
  username: id,
  role: 'viewer',
  sessionId: undefined,
  scopes: new Set(),
})
const people = Array.from({ length: 10_000 }, (_, at) => person(`person-${at}`))

test('people stand evenly between 0 and 1, each always at the same place', () => {
  const tenths = Array.from({ length: 10 }, () => 0)
  for (const each of people) {
    const place = placeOf(each, 'churn')
    expect(place).toBe(placeOf(person(each.id), 'churn'))
    tenths[Math.floor(place * 10)]! += 1
  }
  // Of 1,000 expected within five standard deviations.
  for (const count of tenths) expect(count).toBeWithin(850, 1151)
})

test('where they stand for one model says nothing of where they stand for another', () => {
  const isLow = (model: string) => people.map((each) => placeOf(each, model) < 0.5)
  const [one, other] = [isLow('churn'), isLow('fraud')]
  const both = one.filter((low, at) => low === other[at]).length
  expect(both).toBeWithin(4_750, 5_251)
})

test('who has not said who they are stands anywhere', () => {
  const stranger = { kind: 'anonymous', id: '203.0.113.7', scopes: new Set<never>() } as const
  const places = new Set(Array.from({ length: 100 }, () => placeOf(stranger, 'churn')))
  expect(places.size).toBeGreaterThan(90)
})

test('traffic leads to the versions that it names, and to the latest where it says so', () => {
  expect(versionsOf(LATEST, 7)).toEqual([7])
  expect(versionsOf(LATEST, undefined)).toEqual([])
  const split = [
    { version: 2, weight: 1 },
    { version: 'latest' as const, weight: 1 },
  ]
  expect(versionsOf({ split, shadow: 5 }, 2)).toEqual([2, 5])
  expect(versionsOf({ split, shadow: 5 }, undefined)).toEqual([2, 5])
})
