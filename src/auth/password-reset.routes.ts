import { z } from '@hono/zod-openapi'

import { FIELDS_BYTES_MAX } from '../gateway/body.ts'
import { type Route, route } from '../gateway/route.ts'
import { scalar } from '../gateway/scalar.ts'
import type { PasswordResets } from './accounts/password-resets.ts'
import { authProblems } from './problems.ts'
import { accepted, password, ticket, ticketExample } from './user-fields.ts'

const forgotten = z.strictObject({
  username: scalar(z.string().max(320)).meta({ description: 'User name or e-mail address' }),
})
const reset = z.strictObject({ ticket, password })

/** A new password for who has forgotten theirs, or has none yet. */
export function passwordResetRoutes(passwordResets: PasswordResets): Route[] {
  return [
    route(
      {
        method: 'post',
        path: '/api/v1/auth/password/forgot',
        access: 'open',
        rate: 'auth',
        bodyBytesMax: FIELDS_BYTES_MAX,
        tag: 'auth',
        summary: 'Ask for a link to reset a password',
        description:
          'Sends it to the account’s address, or shows it to administrators where no mail is sent. The answer is the same whether or not there is such an account. The link is good for an hour, once.',
        body: { schema: forgotten, example: { username: 'ada@example.com' } },
        answers: {
          202: {
            description: 'If there is such an account, it gets a link',
            schema: accepted,
            example: { accepted: true as const },
          },
        },
      },
      async ({ body }, { address }) => {
        await passwordResets.request(body.username, address)
        return { status: 202, body: { accepted: true } }
      },
    ),

    route(
      {
        method: 'post',
        path: '/api/v1/auth/password/reset',
        access: 'open',
        rate: 'auth',
        bodyBytesMax: FIELDS_BYTES_MAX,
        tag: 'auth',
        summary: 'Set a password by a link',
        description:
          'Takes the `ticket` of the link, once; a password that is refused leaves it good. Ends all sessions of the account, and voids its other links.',
        body: {
          schema: reset,
          example: { ticket: ticketExample, password: 'staple, correct!' },
        },
        answers: { 204: { description: 'The password is set; log in with it' } },
        problems: [authProblems.badTicket, authProblems.busy],
      },
      async ({ body }, { address }) => {
        await passwordResets.reset(body.ticket, body.password, address)
        return new Response(null, { status: 204 })
      },
    ),
  ]
}
