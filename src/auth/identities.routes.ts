import { z } from '@hono/zod-openapi'

import { FIELDS_BYTES_MAX } from '../gateway/body.ts'
import { invalid, problems } from '../gateway/problems.ts'
import { actorOf, personOf, type Route, route } from '../gateway/route.ts'
import { scalar } from '../gateway/scalar.ts'
import { ACCOUNT } from './browser-entry.ts'
import { authProblems } from './problems.ts'
import type { RecentLogins } from './sessions/recent-logins.ts'
import type { ReturnAddresses } from './sessions/return-addresses.ts'
import type { BrowserSecret } from './single-sign-on/browser-secret.ts'
import type { Identities } from './single-sign-on/identities.ts'
import type { StoredIdentity } from './single-sign-on/identity-rows.ts'
import type { SignOns } from './single-sign-on/sign-ons.ts'

const identity = z
  .object({
    id: z.string(),
    provider: z.string(),
    email: z.string().nullable().meta({ description: 'As it was when it was linked' }),
    created_at: z.iso.datetime(),
    used_at: z.iso.datetime(),
  })
  .openapi('Identity')

const example = {
  id: '0198c5a2-7d31-7c9e-9f1b-2f6a1f0c8e11',
  provider: 'company',
  email: 'ada@example.com',
  created_at: '2026-01-02T03:04:05.678Z',
  used_at: '2026-01-02T03:04:05.678Z',
}

const linkBody = z.strictObject({
  provider: scalar(z.string().max(64)),
  return_to: scalar(z.string().max(4096).default(ACCOUNT)),
})

/** Who I am elsewhere. */
export function identityRoutes(deps: {
  identities: Identities
  signOns: SignOns
  browserSecret: BrowserSecret
  returns: ReturnAddresses
  recentLogins: RecentLogins
}): Route[] {
  const { identities, signOns, browserSecret, returns, recentLogins } = deps
  return [
    route(
      {
        method: 'get',
        path: '/api/v1/me/identities',
        access: 'in-person',
        tag: 'users',
        summary: 'List my identities',
        description: 'At the providers that I can sign in by.',
        answers: {
          200: {
            description: 'All of them',
            schema: z.object({ identities: z.array(identity) }),
            example: { identities: [example] },
          },
        },
      },
      async (_, context) => ({
        body: { identities: (await identities.list(personOf(context).id)).map(documentOf) },
      }),
    ),

    route(
      {
        method: 'post',
        path: '/api/v1/me/identities',
        access: 'in-person',
        rate: 'auth',
        bodyBytesMax: FIELDS_BYTES_MAX,
        tag: 'users',
        summary: 'Link an identity of mine',
        description:
          'For pages of this server: send the browser to `location`; it comes back to `return_to`. From then on I can sign in by that provider. In the ten minutes after a login.',
        body: { schema: linkBody, example: { provider: 'company', return_to: '/docs' } },
        answers: {
          201: {
            description: 'Where to say who I am',
            schema: z.object({ location: z.url() }),
            example: { location: 'https://id.example.com/authorize?client_id=quintet&state=…' },
          },
        },
        problems: [
          problems.notFound,
          authProblems.loginNotRecent,
          authProblems.providerFailed,
          problems.unavailable,
        ],
      },
      async ({ body }, context) => {
        const person = personOf(context)
        await recentLogins.require(person)
        const returnTo = returns.admit(body.return_to)
        if (returnTo === undefined) {
          throw invalid([
            { path: ['return_to'], detail: 'expected a path of this server, such as /docs' },
          ])
        }
        const owner = { accountId: person.id, sessionId: person.sessionId }
        const { location, secret } = await signOns.begin(body.provider, returnTo, owner)
        return {
          status: 201,
          body: { location: location.href },
          headers: { 'set-cookie': browserSecret.kept(secret) },
        }
      },
    ),

    route(
      {
        method: 'delete',
        path: '/api/v1/me/identities/{id}',
        access: 'in-person',
        tag: 'users',
        summary: 'Remove an identity of mine',
        description: 'Unless I could not log in any more. In the ten minutes after a login.',
        pathParameters: z.object({ id: z.string() }),
        answers: { 204: { description: 'Nobody signs in by it any more' } },
        problems: [problems.notFound, authProblems.loginNotRecent, authProblems.lastLogin],
      },
      async ({ path }, context) => {
        const person = personOf(context)
        await recentLogins.require(person)
        if (await identities.remove(person.id, path.id, actorOf(context))) {
          return new Response(null, { status: 204 })
        }
        throw problems.notFound({ detail: 'You have no such identity.' })
      },
    ),
  ]
}

const documentOf = ({ id, provider, email, createdAt, usedAt }: StoredIdentity) => ({
  id,
  provider,
  email,
  created_at: createdAt,
  used_at: usedAt,
})
