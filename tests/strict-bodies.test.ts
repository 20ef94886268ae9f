import { afterAll, beforeAll, expect, test } from 'bun:test'

import type { z } from 'zod'

import { type Harness, openHarness } from './support/harness.ts'
import { testRequests } from './support/request-table.ts'
import { strangeMemberRows } from './support/user-field-rows.ts'

/** Where what is unknown is let pass, and why. */
const TOLERANT: Record<string, string> = {
  'post /oauth/token': 'RFC 6749, section 3.2: unknown parameters are ignored',
  'post /oauth/introspect': 'RFC 7662 by the same rule',
  'post /oauth/revoke': 'RFC 7009 by the same rule',
  'post /api/v1/me/passkeys #/response': 'browsers add members (WebAuthn, section 5.1.8)',
  'post /api/v1/auth/passkeys/login #/response': 'the same',
  'post /api/v1/auth/second-factor/passkey #/response': 'the same',
  'post /sign-in/second-factor #/response': 'the same',
  'post /sign-in/passkey #/response': 'the same',
  'post /account/second-factors/passkeys #/response': 'the same',
}

let harness: Harness
let userToken: string
beforeAll(async () => {
  harness = await openHarness()
  await harness.addAccount({ username: 'ada' })
  userToken = await harness.logIn('ada')
})
afterAll(() => harness.close())

/** The objects of a schema that take members which they do not name: where each of them stands. */
function looseObjects(schema: z.ZodType, path = '#'): string[] {
  const def = schema.def as unknown as Record<string, unknown>
  const isObject = def['type'] === 'object'
  const shape = (isObject ? def['shape'] : {}) as Record<string, z.ZodType>
  const catchall = def['catchall'] as z.ZodType | undefined
  const within = ['element', 'innerType', 'in', 'out', 'left', 'right', 'valueType']
    .map((name) => def[name])
    .concat(def['options'] ?? [], def['items'] ?? [])
    .filter((each) => each !== undefined)
  return [
    ...(isObject && catchall?.type !== 'never' ? [path] : []),
    ...Object.entries(shape).flatMap(([name, member]) => looseObjects(member, `${path}/${name}`)),
    ...within.flatMap((each) => looseObjects(each as z.ZodType, path)),
  ]
}

test('no route takes a member that it does not know', () => {
  const loose = harness.app.routes.flatMap(({ method, path, body }) =>
    body === undefined || body === 'stream'
      ? []
      : looseObjects(body.schema).map((place) => `${method} ${path} ${place}`),
  )
  const isTolerant = (place: string) =>
    Object.keys(TOLERANT).some(
      (known) => `${place}/`.startsWith(`${known}/`) || place === `${known} #`,
    )
  expect(loose.filter((place) => !isTolerant(place))).toEqual([])
  const unused = Object.keys(TOLERANT).filter(
    (known) => !loose.some((place) => place.startsWith(known)),
  )
  expect(unused).toEqual([])
})

const rights = { role: 'admin', owner_id: 'x', is_admin: true, scope: 'users:write' }
const one = { model_type: 'classification', features: { x1: [1], x2: [2] } }
testRequests(
  () => harness,
  [
    ...strangeMemberRows({ as: 'ada', path: '/api/v1/predict' }, rights, one),
    ...strangeMemberRows({ as: 'ada', path: '/api/v1/predict/batch' }, rights, { batches: [one] }),
    ...strangeMemberRows({ path: '/api/v1/auth/login' }, rights, {
      username: 'ada',
      password: 'correct horse battery',
    }),
    ...strangeMemberRows({ path: '/api/v1/auth/validate' }, rights, { token: 'x' }),
    {
      name: 'one batch of several with owner_id',
      as: 'ada',
      path: '/api/v1/predict/batch',
      body: { batches: [one, { ...one, owner_id: 'x' }] },
      status: 422,
      has: { errors: [{ pointer: '#/batches/1/owner_id', detail: 'is no key of this request' }] },
    },
  ],
  () => ({ ada: userToken }),
)
