import { z } from '@hono/zod-openapi'

import { problems } from '../gateway/problems.ts'
import { actorOf, personOf, type Route, route } from '../gateway/route.ts'
import { sessionDocument, session, sessionExample } from './session-fields.ts'
import type { Sessions } from './sessions/sessions.ts'

const mine = session.extend({
  current: z.boolean().meta({ description: 'Whether it is the one that asks' }),
})
const example = { ...sessionExample, current: true }

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
            schema: z.object({ sessions: z.array(mine) }),
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
              ...sessionDocument(each),
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
        await sessions.closeAll(id, actorOf(context), sessionId)
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
