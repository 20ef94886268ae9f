import { z } from '@hono/zod-openapi'

import { problems } from '../gateway/problems.ts'
import { actorOf, personOf, type Route, route } from '../gateway/route.ts'
import type { Sessions } from './sessions/sessions.ts'

const session = z
  .object({
    id: z.string(),
    created_at: z.iso.datetime(),
    used_at: z.iso
      .datetime()
      .nullable()
      .meta({ description: 'When it was refreshed last, or used by cookie, to the minute' }),
    expires_at: z.iso.datetime().meta({ description: 'However often it is refreshed' }),
    device: z.string().nullable().meta({ description: 'What the client calls itself' }),
    address: z.string().nullable(),
    current: z.boolean().meta({ description: 'Whether it is the one that asks' }),
  })
  .openapi('Session')

const example = {
  id: '0198c5a2-7d31-7c9e-9f1b-2f6a1f0c8e11',
  created_at: '2026-01-02T03:04:05.678Z',
  used_at: '2026-01-02T03:19:05.678Z',
  expires_at: '2026-02-01T03:04:05.678Z',
  device: 'httr2/1.1.0 r-curl/6.0.1 libcurl/8.5.0',
  address: '203.0.113.7',
  current: true,
}

/** Where I am logged in. */
export function sessionRoutes(sessions: Sessions): Route[] {
  return [
    route(
      {
        method: 'get',
        path: '/api/v1/auth/sessions',
        access: 'in-person',
        tag: 'auth',
        summary: 'List my sessions',
        description: 'The newest first.',
        answers: {
          200: {
            description: 'All that are not over',
            schema: z.object({ sessions: z.array(session) }),
            example: { sessions: [example] },
          },
        },
      },
      async (_, context) => {
        const { id, sessionId } = personOf(context)
        const found = await sessions.list(id)
        return {
          body: {
            sessions: found.map((each) => ({
              id: each.id,
              created_at: each.createdAt,
              used_at: each.usedAt,
              expires_at: each.expiresAt,
              device: each.device,
              address: each.address,
              current: each.id === sessionId,
            })),
          },
        }
      },
    ),

    route(
      {
        method: 'delete',
        path: '/api/v1/auth/sessions',
        access: 'in-person',
        tag: 'auth',
        summary: 'End my other sessions',
        answers: { 204: { description: 'Only the one that asks is left' } },
      },
      async (_, context) => {
        const { id, sessionId } = personOf(context)
        await sessions.closeOthers(id, sessionId, actorOf(context))
        return new Response(null, { status: 204 })
      },
    ),

    route(
      {
        method: 'delete',
        path: '/api/v1/auth/sessions/{id}',
        access: 'in-person',
        tag: 'auth',
        summary: 'End a session of mine',
        pathParameters: z.object({ id: z.string() }),
        answers: { 204: { description: 'It is over' } },
        problems: [problems.notFound],
      },
      async ({ path }, context) => {
        if (await sessions.close(personOf(context).id, path.id, actorOf(context))) {
          return new Response(null, { status: 204 })
        }
        throw problems.notFound({ detail: 'You have no such session.' })
      },
    ),
  ]
}
