import { z } from '@hono/zod-openapi'

import type { Problem } from '../gateway/problem.ts'
import { problems } from '../gateway/problems.ts'
import { actorOf, personOf, type Route, route } from '../gateway/route.ts'
import type { Users } from './accounts/users.ts'
import { ACCOUNT } from './browser-entry.ts'
import { AccountPage } from './pages/account.tsx'
import { pageOf } from './pages/layout.tsx'
import { minuteOf } from './pages/minute.ts'
import { refusalPage } from './pages/refusal.tsx'
import { signInPath } from './sessions/return-addresses.ts'
import type { Sessions } from './sessions/sessions.ts'

const FORM_BYTES_MAX = 4 * 1024

const example = { session: '0198c5a2-7d31-7c9e-9f1b-2f6a1f0c8e11' }
const choice = z.strictObject({ session: z.string().max(64) })

/** The page of one's own account. */
export function accountRoutes(deps: { users: Users; sessions: Sessions }): Route[] {
  const { users, sessions } = deps
  const page = { access: 'in-person', isPage: true, tag: 'pages', refusal } as const

  return [
    route(
      {
        ...page,
        method: 'get',
        path: ACCOUNT,
        summary: 'My account',
        answers: { 200: { description: 'A page' } },
      },
      async (_, context) => {
        const { id, sessionId } = personOf(context)
        const account = await users.get(id)
        if (account === undefined) throw problems.invalidToken()
        const found = await sessions.list(id)
        const shown = found.map(({ id, device, address, usedAt }) => ({
          id,
          device,
          address,
          usedAt: usedAt === null ? null : minuteOf(usedAt),
          isCurrent: id === sessionId,
        }))
        const { username, email, role } = account
        return pageOf(AccountPage({ username, email, role, sessions: shown }))
      },
    ),

    route(
      {
        ...page,
        method: 'post',
        path: `${ACCOUNT}/sessions`,
        bodyBytesMax: FORM_BYTES_MAX,
        summary: 'End a session of mine',
        body: { schema: choice, example, isForm: true },
        answers: { 303: { description: 'It is over; back to the account' } },
      },
      async ({ body }, context) => {
        if (await sessions.close(personOf(context).id, body.session, actorOf(context))) {
          return seeOther(ACCOUNT)
        }
        throw problems.notFound({ detail: 'You have no such session. It may have ended already.' })
      },
    ),
  ]
}

/** Who is not signed in is asked to; everybody else is told what is wrong. */
const refusal = (problem: Problem) =>
  problem.kind.status === 401 ? seeOther(signInPath(ACCOUNT)) : refusalPage(problem)

const seeOther = (location: string) => new Response(null, { status: 303, headers: { location } })
