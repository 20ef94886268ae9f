import { afterAll, beforeAll, describe, expect, test } from 'bun:test'

import { type Harness, openHarness } from '../support/harness.ts'
import { testRequests } from '../support/request-table.ts'

const NOBODY = `/api/v1/users/${Bun.randomUUIDv7()}/sessions`

let harness: Harness
let adaId: string
const tokens: Record<string, string> = {}
beforeAll(async () => {
  harness = await openHarness()
  adaId = await harness.addAccount({ username: 'ada' })
  await harness.addAccount({ username: 'eve', role: 'editor' })
  tokens['ada'] = await harness.logIn('ada')
  tokens['eve'] = await harness.logIn('eve')
})
afterAll(() => harness.close())

const sessionsOf = (id: string) => `/api/v1/users/${id}/sessions`

describe('a user’s sessions', () => {
  testRequests(
    () => harness,
    [
      { name: 'are not for everyone to see', path: NOBODY, status: 401 },
      { name: 'are for administrators to see', as: 'eve', path: NOBODY, status: 403 },
      {
        name: 'are for administrators to end',
        as: 'eve',
        method: 'DELETE',
        path: NOBODY,
        status: 403,
      },
      { name: 'of nobody are not seen', as: 'admin', path: NOBODY, status: 404 },
      { name: 'of nobody are not ended', as: 'admin', method: 'DELETE', path: NOBODY, status: 404 },
    ],
    () => tokens,
  )

  test('are listed, without what they could be used by', async () => {
    await harness.logIn('ada')
    const response = await harness.request({ path: sessionsOf(adaId), token: harness.adminToken })
    const text = await response.text()
    expect(response.status).toBe(200)
    expect(JSON.parse(text)).toEqual({
      sessions: Array.from({ length: 2 }, () => ({
        id: expect.any(String),
        created_at: expect.any(String),
        used_at: expect.any(String),
        expires_at: expect.any(String),
        device: null,
        address: '203.0.113.7',
      })),
    })
  })

  test('ASVS 7.4.5: are ended by an administrator, all of them at once and nobody else’s', async () => {
    const second = await harness.logIn('ada')
    const me = (token: string | undefined) => harness.request({ path: '/api/v1/me', token })
    for (const token of [tokens['ada'], second]) expect((await me(token)).status).toBe(200)
    await harness.published()
    const before = harness.events.length
    const ended = await harness.request({
      method: 'DELETE',
      path: sessionsOf(adaId),
      token: harness.adminToken,
    })
    expect(ended.status).toBe(204)
    for (const token of [tokens['ada'], second]) expect((await me(token)).status).toBe(401)
    expect((await me(tokens['eve'])).status).toBe(200)
    await harness.published()
    const told = harness.events.slice(before)
    expect(told.map(({ type }) => type)).toEqual(told.map(() => 'auth.logout'))
    expect(told).toHaveLength(3)
    const left = await harness.request({ path: sessionsOf(adaId), token: harness.adminToken })
    expect(await left.json()).toEqual({ sessions: [] })
  })
})
