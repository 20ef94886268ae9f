import { z } from '@hono/zod-openapi'

import { problems } from '../gateway/problems.ts'
import { personOf, type Route, route } from '../gateway/route.ts'
import { scalar } from '../gateway/scalar.ts'
import { ownerOf } from './owner.ts'
import {
  creationExample,
  creationOptions,
  passkeyDocument,
  passkey,
  passkeyExample,
  passkeyName,
  registrationExample,
  registrationResponse,
} from './passkey-fields.ts'
import { authProblems } from './problems.ts'
import type { PasskeyCeremonies } from './second-factors/passkey-ceremonies.ts'
import type { PasskeyRegistrations } from './second-factors/passkey-registrations.ts'
import type { SecondFactors } from './second-factors/second-factors.ts'
import type { RecentLogins } from './sessions/recent-logins.ts'

const BODY_BYTES_MAX = 32 * 1024

const name = scalar(passkeyName).meta({ description: 'What I call it' })

/** My own passkeys. */
export function passkeyRoutes(deps: {
  secondFactors: SecondFactors
  ceremonies: PasskeyCeremonies
  passkeyRegistrations: PasskeyRegistrations
  recentLogins: RecentLogins
}): Route[] {
  const { secondFactors, ceremonies, passkeyRegistrations, recentLogins } = deps

  return [
    route(
      {
        method: 'get',
        path: '/api/v1/me/passkeys',
        access: 'in-person',
        tag: 'users',
        summary: 'List my passkeys',
        description: 'The newest first.',
        answers: {
          200: {
            description: 'All of them',
            schema: z.object({ passkeys: z.array(passkey) }),
            example: { passkeys: [passkeyExample] },
          },
        },
      },
      async (_, context) => {
        const found = await secondFactors.listPasskeys(personOf(context).id)
        return { body: { passkeys: found.map(passkeyDocument) } }
      },
    ),

    route(
      {
        method: 'post',
        path: '/api/v1/me/passkeys/options',
        access: 'in-person',
        rate: 'auth',
        tag: 'users',
        summary: 'Begin to register a passkey',
        description:
          'What the browser needs for `navigator.credentials.create`, for five minutes. In the ten minutes after a login.',
        answers: {
          200: {
            description: 'PublicKeyCredentialCreationOptionsJSON of WebAuthn',
            schema: creationOptions,
            example: creationExample,
          },
        },
        problems: [authProblems.loginNotRecent],
      },
      async (_, context) => {
        const person = personOf(context)
        await recentLogins.require(person)
        const known = await secondFactors.listPasskeys(person.id)
        return { body: await ceremonies.registrationOptions(person, person.sessionId, known) }
      },
    ),

    route(
      {
        method: 'post',
        path: '/api/v1/me/passkeys',
        access: 'in-person',
        rate: 'auth',
        bodyBytesMax: BODY_BYTES_MAX,
        tag: 'users',
        summary: 'Register a passkey',
        description:
          'From then on a login asks for more than the password. My first second factor ends my other sessions.',
        body: {
          schema: z.strictObject({ name, response: registrationResponse }),
          example: { name: 'My laptop', response: registrationExample },
        },
        answers: {
          201: { description: 'The new passkey', schema: passkey, example: passkeyExample },
        },
        problems: [
          authProblems.passkeyRefused,
          authProblems.passkeyKnown,
          authProblems.tooManyPasskeys,
        ],
      },
      async ({ body }, context) => {
        const added = await passkeyRegistrations.register(
          ownerOf(context),
          body.name,
          body.response,
        )
        return { status: 201, body: passkeyDocument(added) }
      },
    ),

    route(
      {
        method: 'delete',
        path: '/api/v1/me/passkeys/{id}',
        access: 'in-person',
        rate: 'auth',
        tag: 'users',
        summary: 'Remove a passkey',
        description: 'In the ten minutes after a login.',
        pathParameters: z.object({ id: z.string() }),
        answers: { 204: { description: 'It is gone' } },
        problems: [problems.notFound, authProblems.loginNotRecent, authProblems.lastLogin],
      },
      async ({ path }, context) => {
        const owner = ownerOf(context)
        await recentLogins.require(owner)
        if (await secondFactors.removePasskey(owner, path.id)) {
          return new Response(null, { status: 204 })
        }
        throw problems.notFound({ detail: 'You have no such passkey.' })
      },
    ),
  ]
}
