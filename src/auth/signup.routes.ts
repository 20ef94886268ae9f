import { z } from '@hono/zod-openapi'

import { FIELDS_BYTES_MAX } from '../gateway/body.ts'
import { invalid } from '../gateway/problems.ts'
import { type Route, route } from '../gateway/route.ts'
import type { SignUps } from './accounts/sign-ups.ts'
import { authProblems } from './problems.ts'
import { email, password, role, username } from './user-fields.ts'

const newAccount = z.strictObject({ username, email, password })

/** Without the e-mail address: whether it is the account's now is for its owner alone to see. */
const account = z.object({ id: z.string(), username: z.string(), role })

/** Accounts that people make for themselves, where the operator lets them. */
export function signupRoutes(deps: {
  signUps: SignUps
  isOpen: boolean
  /** Whether the address must be verified before who signs up logs in. */
  requiresVerified: boolean
}): Route[] {
  const { signUps, isOpen, requiresVerified } = deps
  return [
    route(
      {
        method: 'post',
        path: '/api/v1/auth/signup',
        access: 'open',
        rate: 'auth',
        bodyBytesMax: FIELDS_BYTES_MAX,
        tag: 'auth',
        summary: 'Sign up',
        description:
          'Creates an account with the role `viewer`, where `SIGNUP` is `open`. User names are public, so one that is taken is refused. Where mail is sent, e-mail addresses are not: with one that is taken the answer is the same, and its owner is told. Without mail nobody can show whose an address is: one that is taken is left out, as its account shows. Where mail is sent the address is needed, and is the account’s once it is verified, within a week, by a link that is sent there; before that nobody logs in.',
        body: {
          schema: newAccount,
          example: {
            username: 'ada',
            email: 'ada@example.com',
            password: 'correct horse battery',
          },
        },
        answers: {
          201: {
            description: 'The new account; log in to use it',
            schema: account,
            example: {
              id: '0198c5a2-7d31-7c9e-9f1b-2f6a1f0c8e11',
              username: 'ada',
              role: 'viewer',
            },
          },
        },
        problems: [authProblems.signupClosed, authProblems.nameTaken, authProblems.busy],
      },
      async ({ body }, { address }) => {
        if (!isOpen) {
          throw authProblems.signupClosed({ detail: 'Ask an administrator for an account.' })
        }
        if (requiresVerified && (body.email ?? null) === null) {
          throw invalid([{ path: ['email'], detail: 'is needed, and will be verified' }])
        }
        const { id, username, role } = await signUps.create(body, address)
        return { status: 201, body: { id, username, role } }
      },
    ),
  ]
}
