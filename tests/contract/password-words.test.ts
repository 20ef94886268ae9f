import { afterAll, beforeAll, describe, expect, test } from 'bun:test'

import { type Harness, openHarness, PASSWORD } from '../support/harness.ts'
import { testRequests } from '../support/request-table.ts'

let harness: Harness
let token: string
let id: string
beforeAll(async () => {
  harness = await openHarness({ SIGNUP: 'open', PASSWORD_WORDS: 'Analytical, engine' })
  id = await harness.addAccount({ username: 'Lovelace', email: 'countess@example.com' })
  token = await harness.logIn('lovelace')
})
afterAll(() => harness.close())

const refused = {
  status: 422,
  has: { errors: [{ pointer: '#/password', detail: expect.stringContaining('easy to guess') }] },
}

describe('ASVS 6.2.11: where a password is set, it is not made of words that are obvious here', () => {
  testRequests(
    () => harness,
    [
      {
        name: 'by who signs up',
        path: '/api/v1/auth/signup',
        body: { username: 'babbage', password: 'Babbage1791' },
        ...refused,
      },
      {
        name: 'by an administrator',
        as: 'admin',
        path: '/api/v1/users',
        body: { username: 'eve', email: 'mallory@example.com', password: 'mallory-2026' },
        ...refused,
      },
      {
        name: 'by who has it',
        as: 'lovelace',
        path: '/api/v1/me/password',
        body: { current_password: PASSWORD, password: 'LOVELACE-1815' },
        ...refused,
      },
      {
        name: 'by a word of the operator',
        as: 'lovelace',
        path: '/api/v1/me/password',
        body: { current_password: PASSWORD, password: 'analytical engine' },
        ...refused,
      },
    ],
    () => ({ lovelace: token }),
  )

  test('by an administrator who resets it', async () => {
    const path = `/api/v1/users/${id}/password`
    const body = { password: 'countess-12' }
    const response = await harness.request({ path, body, token: harness.adminToken })
    expect(response.status).toBe(422)
    expect(await response.json()).toMatchObject(refused.has)
    // Nothing was set.
    expect(await harness.logIn('lovelace')).toBeString()
  })
})
