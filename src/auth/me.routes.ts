import { z } from '@hono/zod-openapi'

import { FIELDS_BYTES_MAX } from '../gateway/body.ts'
import { invalid, problems } from '../gateway/problems.ts'
import { actorOf, personOf, type RequestContext, type Route, route } from '../gateway/route.ts'
import { scalar } from '../gateway/scalar.ts'
import type { User } from './accounts/new-user.ts'
import type { UserPasswords } from './accounts/user-passwords.ts'
import type { Users } from './accounts/users.ts'
import { PASSWORD_TYPED_MAX } from './passwords/password-rules.ts'
import { authProblems } from './problems.ts'
import { userDocument, email, password, user, userExample, username } from './user-fields.ts'

const me = user.omit({ disabled: true, updated_at: true }).extend({
  scopes: z.array(z.string()).meta({ description: 'What I may do' }),
})
const { disabled: _, updated_at: __, ...shown } = userExample
const scopes = ['predict', 'models:read', 'jobs:read', 'forward']
const example = { ...shown, scopes }

const currentPassword = scalar(z.string().max(PASSWORD_TYPED_MAX))
const change = z.strictObject({
  username: username.optional(),
  email,
  current_password: currentPassword.optional(),
})
const passwordChange = z.strictObject({
  current_password: currentPassword,
  password,
})

/** My own account. */
export function meRoutes(deps: { users: Users; userPasswords: UserPasswords }): Route[] {
  const { users, userPasswords } = deps

  const mine = (account: User | undefined, context: RequestContext) => {
    // Removed since the token was looked up.
    if (account === undefined) throw problems.invalidToken()
    const { disabled: _, updated_at: __, ...shown } = userDocument(account)
    const scopes = [...personOf(context).scopes]
    return { body: { ...shown, scopes } }
  }

  const changesAddress = async (id: string, email: string | null | undefined) =>
    email !== undefined && (await users.get(id))?.email !== email

  return [
    route(
      {
        method: 'get',
        path: '/api/v1/me',
        access: 'in-person',
        tag: 'users',
        summary: 'Look at my account',
        answers: { 200: { description: 'Who I am, and what I may do', schema: me, example } },
      },
      async (_, context) => mine(await users.get(personOf(context).id), context),
    ),

    route(
      {
        method: 'patch',
        path: '/api/v1/me',
        access: 'in-person',
        // What is taken tells who is here.
        rate: 'auth',
        bodyBytesMax: FIELDS_BYTES_MAX,
        tag: 'users',
        summary: 'Change my names',
        description:
          'What is left out stays; `null` removes the e-mail address. Another address asks for `current_password`. Where mail is sent it is `email_pending` until it is verified by a link that is sent there, and the password; only then is it the account’s, and the one before is told. It is given up after a week. Whether it is somebody else’s is not told: then its owner gets a note, and no link. Where no mail is sent it changes at once, unless it is taken. The role is for administrators to change.',
        body: {
          schema: change,
          example: {
            username: 'ada',
            email: 'ada@example.com',
            current_password: 'correct horse battery',
          },
        },
        answers: { 200: { description: 'My account as it is now', schema: me, example } },
        problems: [
          authProblems.wrongPassword,
          authProblems.nameTaken,
          authProblems.tooManyFailures,
          authProblems.busy,
        ],
      },
      async ({ body }, context) => {
        const { id } = personOf(context)
        const { current_password, ...asked } = body
        // Links to set a password go there: a session that was left open is not enough to turn them.
        if (await changesAddress(id, asked.email)) {
          if (current_password === undefined) {
            throw invalid([{ path: ['current_password'], detail: 'is needed for another address' }])
          }
          await userPasswords.confirm(id, current_password, actorOf(context))
        }
        return mine(await users.changeOwn(id, asked, actorOf(context)), context)
      },
    ),

    route(
      {
        method: 'post',
        path: '/api/v1/me/password',
        access: 'in-person',
        rate: 'auth',
        bodyBytesMax: FIELDS_BYTES_MAX,
        tag: 'users',
        summary: 'Change my password',
        description: 'Ends all my other sessions.',
        body: {
          schema: passwordChange,
          example: { current_password: 'correct horse battery', password: 'staple, correct!' },
        },
        answers: { 204: { description: 'The password is changed' } },
        problems: [authProblems.wrongPassword, authProblems.tooManyFailures, authProblems.busy],
      },
      async ({ body }, context) => {
        const { id, sessionId } = personOf(context)
        await userPasswords.change({
          id,
          sessionId,
          actor: actorOf(context),
          currentPassword: body.current_password,
          password: body.password,
        })
        return new Response(null, { status: 204 })
      },
    ),
  ]
}
