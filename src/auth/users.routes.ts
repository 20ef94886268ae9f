import { z } from '@hono/zod-openapi'

import { FIELDS_BYTES_MAX } from '../gateway/body.ts'
import { nextPage, pageOf, pageQuery } from '../gateway/page.ts'
import { problems } from '../gateway/problems.ts'
import { actorOf, type RequestContext, type Route, route } from '../gateway/route.ts'
import { scalar } from '../gateway/scalar.ts'
import { type Clock, isoTime } from '../platform/clock.ts'
import { type Allow, requireOther, requireOutranks } from './accounts/outranking.ts'
import type { UserList } from './accounts/user-list.ts'
import type { UserPasswords } from './accounts/user-passwords.ts'
import type { Users } from './accounts/users.ts'
import { LINK_TTL_SECONDS } from './mail/letters.ts'
import { authProblems } from './problems.ts'
import {
  userDocument,
  email,
  existingUser,
  noSuchUser,
  password,
  role,
  user,
  userExample,
  username,
} from './user-fields.ts'

const SEARCH_CHARACTERS_MAX = 320

const newUser = z.strictObject({
  username,
  email,
  password: password.optional(),
  role: scalar(role.default('viewer')),
})
const created = user.extend({
  set_password_url: z.string().optional().meta({
    description:
      'For you to pass on, shown this once, where no password was given and no mail is sent',
  }),
  set_password_expires_at: z.iso
    .datetime()
    .optional()
    .meta({ description: 'Until when `set_password_url` is good' }),
  mailed: z
    .boolean()
    .optional()
    .meta({ description: 'Where no password was given: whether the link goes out by mail' }),
})
const change = z.strictObject({
  username: username.optional(),
  email,
  role: scalar(role).optional(),
  disabled: scalar(z.boolean()).optional(),
})
const reset = z.strictObject({ password: password.optional() })

const pathParameters = z.object({ id: z.string() })
const query = z.strictObject({
  ...pageQuery,
  q: z
    .string()
    .max(SEARCH_CHARACTERS_MAX)
    .optional()
    .openapi({ description: 'How the user name or the e-mail address begins, whatever the case' }),
})
const page = z.object({ users: z.array(user), next: nextPage })

/** Everybody's accounts, for administrators. */
export function userRoutes(deps: {
  users: Users
  userList: UserList
  userPasswords: UserPasswords
  clock: Clock
}): Route[] {
  const { users, userList, userPasswords, clock } = deps
  /** Asked before the link is made, so that it is good for as long as is said. */
  const linkEnd = () => isoTime(clock.now() + LINK_TTL_SECONDS.set_password * 1000)
  return [
    route(
      {
        method: 'get',
        path: '/api/v1/users',
        access: 'users:read',
        tag: 'users',
        summary: 'List users',
        description: 'The newest first.',
        query,
        answers: {
          200: {
            description: 'A page',
            schema: page,
            example: { users: [userExample], next: null },
          },
        },
      },
      async ({ query: { q, before, limit } }) => {
        const found = await userList.list({ beginning: q, before, limit: limit + 1 })
        const { shown, next } = pageOf(found, limit)
        return { body: { users: shown.map(userDocument), next } }
      },
    ),

    route(
      {
        method: 'post',
        path: '/api/v1/users',
        access: 'users:write',
        bodyBytesMax: FIELDS_BYTES_MAX,
        tag: 'users',
        summary: 'Create a user',
        description:
          'Without `password` its owner sets one, by a link that is good for three days, once: it is mailed, or else shown in the answer this once, as `set_password_url`. The role is none that may do more than who creates the user.',
        body: {
          schema: newUser,
          example: {
            username: 'ada',
            email: 'ada@example.com',
            password: 'correct horse battery',
            role: 'viewer',
          },
        },
        answers: {
          201: { description: 'The new user', schema: created, example: userExample },
        },
        problems: [authProblems.nameTaken, authProblems.busy],
      },
      async ({ body: { password, ...asked } }, context) => {
        requireOutranks(context.principal, asked.role)
        const actor = actorOf(context)
        if (password !== undefined) {
          const account = await users.create({ ...asked, password }, actor)
          return { status: 201, body: userDocument(account) }
        }
        const end = linkEnd()
        const { account, setPasswordUrl: url } = await users.invite(asked, actor)
        const link =
          url === undefined
            ? { mailed: true }
            : { set_password_url: url, set_password_expires_at: end, mailed: false }
        return { status: 201, body: { ...userDocument(account), ...link } }
      },
    ),

    route(
      {
        method: 'get',
        path: '/api/v1/users/{id}',
        access: 'users:read',
        tag: 'users',
        summary: 'Look at a user',
        pathParameters,
        answers: { 200: { description: 'The user', schema: user, example: userExample } },
        problems: [problems.notFound],
      },
      async ({ path }) => ({ body: userDocument(existingUser(await users.get(path.id))) }),
    ),

    route(
      {
        method: 'patch',
        path: '/api/v1/users/{id}',
        access: 'users:write',
        bodyBytesMax: FIELDS_BYTES_MAX,
        tag: 'users',
        summary: 'Change a user',
        description:
          'What is left out stays; `null` removes the e-mail address. Who is disabled is logged out at once. Another role counts from the next request on. Neither it nor the one before is one that may do more than who changes it. One’s own address is changed at `/api/v1/me`, with the current password.',
        pathParameters,
        body: { schema: change, example: { role: 'editor', disabled: false } },
        answers: {
          200: {
            description: 'The user as it is now',
            schema: user,
            example: { ...userExample, role: 'editor' },
          },
        },
        problems: [problems.notFound, authProblems.nameTaken, authProblems.lastAdministrator],
      },
      async ({ path, body }, context) => {
        if (body.email !== undefined) {
          requireOther(
            context.principal,
            path.id,
            'Change your own address at /api/v1/me, with your password.',
          )
        }
        if (body.role !== undefined) requireOutranks(context.principal, body.role)
        const changed = await users.change(path.id, body, actorOf(context), outranking(context))
        return { body: userDocument(existingUser(changed)) }
      },
    ),

    route(
      {
        method: 'delete',
        path: '/api/v1/users/{id}',
        access: 'users:write',
        tag: 'users',
        summary: 'Delete a user',
        description:
          'With all its sessions and API keys. To shut somebody out for a while, disable them. Nobody who may do more than who asks.',
        pathParameters,
        answers: { 204: { description: 'It is gone' } },
        problems: [problems.notFound, authProblems.lastAdministrator],
      },
      async ({ path }, context) => {
        if (!(await users.remove(path.id, actorOf(context), outranking(context))))
          throw noSuchUser()
        return new Response(null, { status: 204 })
      },
    ),

    route(
      {
        method: 'post',
        path: '/api/v1/users/{id}/password',
        access: 'users:write',
        bodyBytesMax: FIELDS_BYTES_MAX,
        tag: 'users',
        summary: 'Reset a user’s password',
        description:
          'Ends all sessions of the user. Without `password` the old one is void, as are the user’s API keys, passkeys, TOTP and identities at providers, so that whoever else was in is out; and its owner sets the next by a link that is good for three days, once: it is mailed, or else shown this once. Of nobody who may do more than who asks. One’s own is changed at `/api/v1/me/password`, with the current one.',
        pathParameters,
        body: { schema: reset, example: {}, isOptional: true },
        answers: {
          200: {
            description: 'The old password is void',
            schema: z.object({
              set_password_url: z
                .url()
                .nullable()
                .meta({ description: 'To pass on; null where it is mailed' }),
              set_password_expires_at: z.iso
                .datetime()
                .nullable()
                .meta({ description: 'Until when it is good; null where it is mailed' }),
              mailed: z.boolean(),
            }),
            example: {
              set_password_url:
                'http://localhost:8080/set-password?ticket=qt_1N5sIuyZ3CxPdnJ3ZcJ3Y1yJm4Vw0k0r9oGf0e6bq8U',
              set_password_expires_at: '2026-08-04T09:12:00.000Z',
              mailed: false,
            },
          },
          204: { description: 'The given password is set' },
        },
        problems: [problems.notFound, authProblems.busy],
      },
      async ({ path, body }, context) => {
        requireOther(
          context.principal,
          path.id,
          'Change your own at /api/v1/me/password, with the current one.',
        )
        const actor = actorOf(context)
        const allow = outranking(context)
        if (body.password === undefined) {
          const end = linkEnd()
          const voided = await userPasswords.void(path.id, actor, allow)
          if (voided === undefined) throw noSuchUser()
          const { setPasswordUrl: url } = voided
          const mailed = url === null
          return {
            body: {
              set_password_url: url,
              set_password_expires_at: mailed ? null : end,
              mailed,
            },
          }
        }
        if (!(await userPasswords.reset(path.id, body.password, actor, allow))) throw noSuchUser()
        return new Response(null, { status: 204 })
      },
    ),
  ]
}

const outranking =
  ({ principal }: RequestContext): Allow =>
  ({ role }) =>
    requireOutranks(principal, role)
