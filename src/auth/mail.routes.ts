import { z } from '@hono/zod-openapi'

import { nextPage, pageOf, pageQuery } from '../gateway/page.ts'
import { problems } from '../gateway/problems.ts'
import { actorOf, type Route, route } from '../gateway/route.ts'
import { requireOther, requireOutranks } from './accounts/outranking.ts'
import type { KeptMail, KeptMessage } from './mail/kept-mail.ts'

const message = z
  .object({
    id: z.string(),
    user_id: z.string().meta({ description: 'Whom it is for' }),
    address: z.string().nullable().meta({ description: 'Theirs, where they have one' }),
    subject: z.string(),
    created_at: z.iso.datetime(),
    expires_at: z.iso.datetime().meta({ description: 'When its link is good no more' }),
  })
  .openapi('KeptMail')
const wholeMessage = message.extend({ text: z.string() })

const example = {
  id: '0198c5a2-8c55-7a3e-b0a1-94a3c0f0d2b7',
  user_id: '0198c5a2-7e02-7b11-8d3c-5b8f0b6c1d22',
  address: 'ada@example.com',
  subject: 'Reset your password',
  created_at: '2026-01-02T03:04:05.678Z',
  expires_at: '2026-01-02T04:04:05.678Z',
}
const text =
  'Hello,\n\nsomebody, most likely you, has forgotten the password of your account at api.example.com.\n\nTo set a new one, open this link within an hour; it works once:\n\nhttps://api.example.com/reset-password?ticket=qt_…\n'

const pathParameters = z.object({ id: z.string() })

/** What people would have been mailed, where no server takes mail: for administrators to pass on. */
export function mailRoutes(keptMail: KeptMail): Route[] {
  return [
    route(
      {
        method: 'get',
        path: '/api/v1/mail',
        access: 'users:write',
        tag: 'users',
        summary: 'List messages that wait to be passed on',
        description:
          'Without `SMTP_URL` nothing is mailed: messages with links are here as long as their links are good, the newest first. Who is let in by one is for you to know: ask them by another way.',
        query: z.strictObject(pageQuery),
        answers: {
          200: {
            description: 'A page',
            schema: z.object({ messages: z.array(message), next: nextPage }),
            example: { messages: [example], next: null },
          },
        },
      },
      async ({ query: { before, limit } }) => {
        const { shown, next } = pageOf(await keptMail.list({ before, limit: limit + 1 }), limit)
        return { body: { messages: shown.map(documentOf), next } }
      },
    ),

    route(
      {
        method: 'get',
        path: '/api/v1/mail/{id}',
        access: 'users:write',
        tag: 'users',
        summary: 'Read a message that waits to be passed on',
        description:
          'With its link, unless it is for somebody who may do more than who asks, or for who asks: a key, or a session that was left open, must not be enough to set one’s password. The audit tells of it.',
        pathParameters,
        answers: {
          200: { description: 'The message', schema: wholeMessage, example: { ...example, text } },
        },
        problems: [problems.notFound],
      },
      async ({ path }, context) => {
        const found = await keptMail.show(path.id, actorOf(context), ({ id, role }) => {
          requireOther(context.principal, id, OWN)
          requireOutranks(context.principal, role)
        })
        if (found === undefined) throw problems.notFound({ detail: 'There is no such message.' })
        return { body: { ...documentOf(found), text: found.text } }
      },
    ),
  ]
}

const OWN = 'Have another administrator read it, or run scripts/admin reset.'

const documentOf = (kept: KeptMessage) => ({
  id: kept.id,
  user_id: kept.accountId,
  address: kept.address,
  subject: kept.subject,
  created_at: kept.createdAt,
  expires_at: kept.expiresAt,
})
