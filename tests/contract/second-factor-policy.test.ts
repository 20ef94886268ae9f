import { afterAll, beforeAll, describe, expect, test } from 'bun:test'

import { eq } from 'drizzle-orm'
import { decodeJwt } from 'jose'
import { generateSync } from 'otplib'

import { authTables } from '../../src/auth/tables.ts'
import { type Harness, openHarness, PASSWORD } from '../support/harness.ts'

const MODELS = '/api/v1/models'
const ME = '/api/v1/me'
const owing = {
  title: 'Forbidden',
  detail:
    'Set up a second factor first, on the page /account/second-factors or by POST /api/v1/me/totp: this server asks for one.',
}

describe.each(['administrators', 'everyone'])(
  'ASVS 6.3.3: where a second factor is asked of %s',
  (policy) => {
    let harness: Harness
    let admin: string
    let ada: string
    beforeAll(async () => {
      harness = await openHarness({ SECOND_FACTOR: policy })
      await harness.addAccount({ username: 'ada' })
      ada = await harness.logIn('ada')
      admin = await harness.logIn('admin')
    })
    afterAll(() => harness.close())

    const get = (path: string, token: string) => harness.request({ path, token })
    const scopesOf = async (token: string) =>
      ((await (await get(ME, token)).json()) as { scopes: string[] }).scopes

    test('who has none may log in, change what is their own, and nothing else', async () => {
      const refused = await get('/api/v1/users', admin)
      expect(refused.status).toBe(403)
      expect(await refused.json()).toMatchObject(owing)
      expect(await scopesOf(admin)).toEqual([])
      const key = { name: 'way round', scopes: ['predict'] }
      const made = await harness.request({ path: '/api/v1/api-keys', body: key, token: admin })
      expect(made.status).toBe(422)
      const mine = { email: 'mine@example.com', current_password: PASSWORD }
      const changed = await harness.request({ method: 'PATCH', path: ME, body: mine, token: admin })
      expect(changed.status).toBe(200)
      const body = { current_password: PASSWORD, password: PASSWORD }
      const set = await harness.request({ path: `${ME}/password`, body, token: admin })
      expect(set.status).toBe(204)
    })

    test('nor are they somebody to those who ask for the role, or read it in the token', async () => {
      const path = '/api/v1/auth/validate'
      const validated = await harness.request({ path, body: { token: admin } })
      expect(await validated.json()).toMatchObject({ valid: true, role: null })
      expect(decodeJwt(admin)).not.toHaveProperty('role')
      expect(decodeJwt(admin)['scope']).toBe('')
      expect((await get('/api/v1/auth/forward', admin)).status).toBe(403)
    })

    test(`a viewer ${policy === 'everyone' ? 'owes one too' : 'does not owe one'}`, async () => {
      expect((await get(MODELS, ada)).status).toBe(policy === 'everyone' ? 403 : 200)
    })

    test('once it is set up, all that the role may, with the same token', async () => {
      const begun = await harness.request({ method: 'POST', path: `${ME}/totp`, token: admin })
      const { secret } = (await begun.json()) as { secret: string }
      const epoch = Math.floor(harness.clock.now() / 1000)
      const code = generateSync({ secret, epoch })
      const path = `${ME}/totp/confirmation`
      const confirmed = await harness.request({ path, body: { code }, token: admin })
      expect(confirmed.status).toBe(200)
      expect((await get('/api/v1/users', admin)).status).toBe(200)
      const validated = await harness.request({
        path: '/api/v1/auth/validate',
        body: { token: admin },
      })
      expect(await validated.json()).toMatchObject({ valid: true, role: 'admin' })
      expect(await scopesOf(admin)).toContain('users:write')
    })

    test('a key of who owes one is no way round it, also where it was made before', async () => {
      const { apiKeys, totp } = authTables(harness.platform.database.kit)
      const made = await harness.request({
        path: '/api/v1/api-keys',
        body: { name: 'script', scopes: ['users:read'] },
        token: admin,
      })
      expect(made.status).toBe(201)
      const { key } = (await made.json()) as { key: string }
      expect((await get('/api/v1/users', key)).status).toBe(200)
      await harness.platform.database.write(async (tx) => {
        const [row] = await tx.select().from(apiKeys)
        await tx.delete(totp).where(eq(totp.accountId, row!.ownerId))
      })
      harness.clock.advance(1000)
      expect((await get('/api/v1/users', key)).status).toBe(403)
    })
  },
)

test('unless said, the password is enough', async () => {
  const harness = await openHarness()
  const response = await harness.request({ path: '/api/v1/users', token: harness.adminToken })
  expect(response.status).toBe(200)
  await harness.close()
})
