import { z } from '@hono/zod-openapi'

import { Problem } from '../gateway/problem.ts'
import { problems } from '../gateway/problems.ts'
import { actorOf, personOf, type RequestContext, type Route, route } from '../gateway/route.ts'
import { NO_PASSWORD } from './accounts/new-user.ts'
import type { UserPasswords } from './accounts/user-passwords.ts'
import type { Users } from './accounts/users.ts'
import { ACCOUNT } from './browser-entry.ts'
import { AccountPage } from './pages/account.tsx'
import { pageOf } from './pages/layout.tsx'
import { minuteOf } from './pages/minute.ts'
import { refusalPage } from './pages/refusal.tsx'
import { PASSWORD_TYPED_MAX, passwordFault } from './passwords/password-rules.ts'
import { authProblems } from './problems.ts'
import { signInPath } from './sessions/return-addresses.ts'
import type { Sessions } from './sessions/sessions.ts'

const FORM_BYTES_MAX = 4 * 1024

const example = { session: '0198c5a2-7d31-7c9e-9f1b-2f6a1f0c8e11' }
const choice = z.strictObject({ session: z.string().max(64) })
const passwords = z.strictObject({
  // For the password manager of the browser.
  username: z.string().optional(),
  current_password: z.string().max(PASSWORD_TYPED_MAX),
  password: z.string().max(PASSWORD_TYPED_MAX),
})

/** The page of one's own account. */
export function accountRoutes(deps: {
  users: Users
  userPasswords: Pick<UserPasswords, 'change'>
  sessions: Sessions
}): Route[] {
  const { users, userPasswords, sessions } = deps
  const page = { access: 'in-person', isPage: true, tag: 'pages', refusal } as const
  const posted = { ...page, method: 'post', bodyBytesMax: FORM_BYTES_MAX } as const
  const back = { 303: { description: 'It is done; back to the account' } }

  async function accountPage(
    context: RequestContext,
    state: { fault?: string; done?: string } = {},
    status = 200,
  ): Promise<Response> {
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
    const hasPassword = account.passwordHash !== NO_PASSWORD
    const markup = AccountPage({ username, email, role, sessions: shown, hasPassword, ...state })
    return pageOf(markup, { status })
  }

  return [
    route(
      {
        ...page,
        method: 'get',
        path: ACCOUNT,
        summary: 'My account',
        answers: { 200: { description: 'A page' } },
      },
      (_, context) => accountPage(context),
    ),

    route(
      {
        ...posted,
        path: `${ACCOUNT}/password`,
        rate: 'auth',
        summary: 'Change my password',
        body: {
          schema: passwords,
          example: { current_password: 'correct horse battery', password: 'staple, correct!' },
          isForm: true,
        },
        answers: { 200: { description: 'The account, and that it is changed' } },
      },
      async ({ body: { current_password: currentPassword, password } }, context) => {
        const fault = passwordFault(password)
        if (fault !== undefined) {
          return accountPage(context, { fault: `The new password: ${fault}.` }, 422)
        }
        const { id, sessionId } = personOf(context)
        const actor = actorOf(context)
        try {
          await userPasswords.change({ id, sessionId, actor, currentPassword, password })
        } catch (error) {
          if (!(error instanceof Problem)) throw error
          return accountPage(context, { fault: faultOf(error) }, error.kind.status)
        }
        return accountPage(context, { done: 'Your password is changed.' })
      },
    ),

    route(
      {
        ...posted,
        path: `${ACCOUNT}/sessions`,
        summary: 'End a session of mine',
        body: { schema: choice, example, isForm: true },
        answers: back,
      },
      async ({ body }, context) => {
        if (await sessions.close(personOf(context).id, body.session, actorOf(context))) {
          return seeOther(ACCOUNT)
        }
        throw problems.notFound({ detail: 'You have no such session. It may have ended already.' })
      },
    ),

    route(
      {
        ...posted,
        path: `${ACCOUNT}/sessions/others`,
        summary: 'End all other sessions of mine',
        body: { schema: z.strictObject({}), example: {}, isForm: true },
        answers: back,
      },
      async (_, context) => {
        const { id, sessionId } = personOf(context)
        await sessions.closeAll(id, actorOf(context), sessionId)
        return seeOther(ACCOUNT)
      },
    ),
  ]
}

/** Who is not signed in is asked to; everybody else is told what is wrong. */
const refusal = (problem: Problem) =>
  problem.kind.status === 401 ? seeOther(signInPath(ACCOUNT)) : refusalPage(problem)

function faultOf({ kind, options }: Problem): string {
  if (kind === problems.invalidRequest.kind) return OBVIOUS
  return kind === authProblems.wrongPassword.kind ? WRONG : (options.detail ?? kind.advice)
}

const WRONG = 'The current password is wrong.'
const OBVIOUS = 'The new password is little more than a name or a word that is easy to guess here.'

const seeOther = (location: string) => new Response(null, { status: 303, headers: { location } })
