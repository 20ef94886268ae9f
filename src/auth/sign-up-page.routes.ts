import { z } from '@hono/zod-openapi'

import { FIELDS_BYTES_MAX } from '../gateway/body.ts'
import { Problem } from '../gateway/problem.ts'
import { problems } from '../gateway/problems.ts'
import { type Route, route } from '../gateway/route.ts'
import { emailFault, usernameFault } from './accounts/names.ts'
import type { SignUps } from './accounts/sign-ups.ts'
import { pageOf } from './pages/layout.tsx'
import { signOnRefusalPage } from './pages/refusal.tsx'
import { SignedUpPage, SignUpPage } from './pages/sign-up.tsx'
import { PASSWORD_TYPED_MAX, passwordFault } from './passwords/password-rules.ts'
import { authProblems } from './problems.ts'
import { signInPath } from './sessions/return-addresses.ts'

export const SIGN_UP = '/sign-up'
const UNTYPED = 'The form was not sent as this page has it. Type everything again.'
const OBVIOUS = 'The password is little more than a name or a word that is easy to guess here.'

const typed = z.strictObject({
  username: z.string().max(320),
  email: z.string().max(320),
  password: z.string().max(PASSWORD_TYPED_MAX),
})
const example = { username: 'ada', email: 'ada@example.com', password: 'correct horse battery' }
type Typed = z.output<typeof typed>

/** The page by which people make an account for themselves, where the operator lets them. */
export function signUpPageRoutes(deps: {
  signUps: SignUps
  isOpen: boolean
  requiresVerified: boolean
  isMailed: boolean
}): Route[] {
  const { signUps, isOpen, requiresVerified, isMailed } = deps
  const page = { access: 'open', isPage: true, tag: 'pages', path: SIGN_UP } as const

  const form = (state: Partial<Typed> & { fault?: string } = {}, status = 200) =>
    pageOf(SignUpPage({ action: SIGN_UP, needsEmail: requiresVerified, isMailed, ...state }), {
      status,
    })

  function requireOpen(): void {
    if (!isOpen) throw authProblems.signupClosed({ detail: 'Ask an administrator for an account.' })
  }

  function faultIn({ username, email, password }: Typed): string | undefined {
    const faults: [name: string, fault: string | undefined][] = [
      ['user name', usernameFault(username)],
      ['e-mail address', email === '' && !requiresVerified ? undefined : emailFault(email)],
      ['password', passwordFault(password)],
    ]
    const first = faults.find(([, fault]) => fault !== undefined)
    return first && `The ${first[0]}: ${first[1]}.`
  }

  return [
    route(
      {
        ...page,
        method: 'get',
        summary: 'The form to sign up',
        answers: { 200: { description: 'A page' } },
        refusal: signOnRefusalPage,
      },
      () => {
        requireOpen()
        return form()
      },
    ),

    route(
      {
        ...page,
        method: 'post',
        rate: 'auth',
        bodyBytesMax: FIELDS_BYTES_MAX,
        summary: 'Sign up, by the form',
        body: { schema: typed, example, isForm: true },
        answers: {
          200: { description: 'A page: the address is to be verified' },
          303: { description: 'The account is made, and on to the form to sign in' },
        },
        refusal: (problem) =>
          problem.kind === problems.invalidRequest.kind
            ? form({ fault: UNTYPED }, 422)
            : signOnRefusalPage(problem),
      },
      async ({ body }, { address }) => {
        requireOpen()
        const { username, email } = body
        const fault = faultIn(body)
        if (fault !== undefined) return form({ username, email, fault }, 422)
        try {
          await signUps.create({ ...body, email: email === '' ? null : email }, address)
        } catch (error) {
          if (!(error instanceof Problem)) throw error
          const { status, title } = error.kind
          const isTaken = error.kind === authProblems.nameTaken.kind
          const other = isTaken ? 'The user name is taken.' : (error.options.detail ?? title)
          const reason = status === 422 ? OBVIOUS : other
          return form({ username, email, fault: reason }, status)
        }
        if (requiresVerified) return pageOf(SignedUpPage({ email, isMailed }))
        const location = `${signInPath()}?notice=signed-up`
        return new Response(null, { status: 303, headers: { location } })
      },
    ),
  ]
}
