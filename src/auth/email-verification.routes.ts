import { z } from '@hono/zod-openapi'

import { FIELDS_BYTES_MAX } from '../gateway/body.ts'
import { personOf, type Route, route } from '../gateway/route.ts'
import { scalar } from '../gateway/scalar.ts'
import type { EmailVerification } from './accounts/email-verification.ts'
import { PASSWORD_TYPED_MAX } from './passwords/password-rules.ts'
import { authProblems } from './problems.ts'
import { accepted, ticket, ticketExample } from './user-fields.ts'

const verification = z.strictObject({
  ticket,
  password: scalar(z.string().max(PASSWORD_TYPED_MAX)).optional(),
})

/** Whether an account's address is its owner's. */
export function emailVerificationRoutes(emailVerification: EmailVerification): Route[] {
  return [
    route(
      {
        method: 'post',
        path: '/api/v1/me/email/verification',
        access: 'in-person',
        rate: 'auth',
        tag: 'users',
        summary: 'Have my address verified',
        description:
          'Sends a link to it once more, unless it is verified, or too many were sent in this hour.',
        answers: {
          202: {
            description: 'It is on its way',
            schema: accepted,
            example: { accepted: true as const },
          },
        },
        problems: [authProblems.noAddress],
      },
      async (_, context) => {
        await emailVerification.request(personOf(context).id)
        return { status: 202, body: { accepted: true } }
      },
    ),

    route(
      {
        method: 'post',
        path: '/api/v1/auth/email/verify',
        access: 'open',
        rate: 'auth',
        bodyBytesMax: FIELDS_BYTES_MAX,
        tag: 'auth',
        summary: 'Verify an address by a link',
        description:
          'Takes the `ticket` of the link, which is good for a day, once, and for this address alone; and the `password` of the account, where it has one: who reads the address confirms nobody else’s account.',
        body: {
          schema: verification,
          example: { ticket: ticketExample, password: 'correct horse battery' },
        },
        answers: { 204: { description: 'The address is verified' } },
        problems: [
          authProblems.badTicket,
          authProblems.wrongPassword,
          authProblems.tooManyFailures,
          authProblems.busy,
        ],
      },
      async ({ body }, { address }) => {
        await emailVerification.verify({ ...body, address })
        return new Response(null, { status: 204 })
      },
    ),
  ]
}
