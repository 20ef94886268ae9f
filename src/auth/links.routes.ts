import { z } from '@hono/zod-openapi'

import { Problem } from '../gateway/problem.ts'
import { problems } from '../gateway/problems.ts'
import { type RequestContext, type Route, route } from '../gateway/route.ts'
import type { EmailVerification } from './accounts/email-verification.ts'
import type { PasswordResets } from './accounts/password-resets.ts'
import { pageOf } from './pages/layout.tsx'
import { ForgotPasswordPage, NewPasswordPage } from './pages/passwords.tsx'
import { refusalPage, refusalPageWith } from './pages/refusal.tsx'
import { VerifyEmailPage } from './pages/verify-email.tsx'
import { PASSWORD_TYPED_MAX, passwordFault } from './passwords/password-rules.ts'
import { authProblems } from './problems.ts'
import { SIGN_IN } from './sessions/return-addresses.ts'
import { ticketExample, ticketText as ticket } from './user-fields.ts'

const FORM_BYTES_MAX = 16 * 1024

export const FORGOT_PASSWORD = '/forgot-password'
const VERIFY_EMAIL = '/verify-email'
/** The same, in other words. */
const NEW_PASSWORD = { '/reset-password': false, '/set-password': true } as const

const query = z.looseObject({ ticket: ticket.default('') })
const forgotten = z.strictObject({ username: z.string().min(1).max(320) })
const verification = z.strictObject({
  ticket,
  username: z.string().optional(),
  password: z.string().max(PASSWORD_TYPED_MAX).optional(),
})
const newPassword = z.strictObject({
  ticket,
  // For the password manager of the browser; whose password it is, the ticket says.
  username: z.string().optional(),
  password: z.string().max(PASSWORD_TYPED_MAX),
})

/**
 * The pages behind the links that are mailed, and the one to ask for one. To open a link changes
 * nothing: programs that check mail for malice do.
 */
export function linkRoutes(deps: {
  passwordResets: PasswordResets
  emailVerification: EmailVerification
  /** Whether links reach people by themselves. */
  isMailed: boolean
}): Route[] {
  const { passwordResets, emailVerification, isMailed } = deps
  const page = { access: 'open', isPage: true, tag: 'pages', refusal } as const
  const shown = { 200: { description: 'A page' } }

  const forgotPage = (state: { fault?: string; isSent?: boolean }, status = 200) =>
    pageOf(ForgotPasswordPage({ action: FORGOT_PASSWORD, isMailed, ...state }), { status })

  const forgot = [
    route(
      {
        ...page,
        method: 'get',
        path: FORGOT_PASSWORD,
        summary: 'The form to ask for a link',
        answers: shown,
      },
      () => forgotPage({}),
    ),
    route(
      {
        ...page,
        method: 'post',
        path: FORGOT_PASSWORD,
        rate: 'auth',
        bodyBytesMax: FORM_BYTES_MAX,
        summary: 'Ask for a link',
        body: { schema: forgotten, example: { username: 'ada' }, isForm: true },
        answers: shown,
        refusal: (problem) =>
          problem.kind === problems.invalidRequest.kind
            ? forgotPage({ fault: 'Type your user name, or your e-mail address.' }, 422)
            : refusalPage(problem),
      },
      async ({ body }, { address }) => {
        await passwordResets.request(body.username, address)
        return forgotPage({ isSent: true })
      },
    ),
  ]

  async function newPasswordPage(
    path: keyof typeof NEW_PASSWORD,
    ticket: string,
    problem?: { fault: string; status: number },
  ): Promise<Response> {
    const owner = await passwordResets.find(ticket)
    if (owner === undefined) throw authProblems.badTicket({ detail: GONE })
    const { username } = owner
    const isFirst = NEW_PASSWORD[path]
    const markup = NewPasswordPage({
      action: path,
      ticket,
      isFirst,
      username,
      fault: problem?.fault,
    })
    return pageOf(markup, { status: problem?.status ?? 200 })
  }

  const setPassword = (path: keyof typeof NEW_PASSWORD) => [
    route(
      {
        ...page,
        method: 'get',
        path,
        summary: 'The form to set a password',
        query,
        answers: shown,
      },
      ({ query }) => newPasswordPage(path, query.ticket),
    ),
    route(
      {
        ...page,
        method: 'post',
        path,
        rate: 'auth',
        bodyBytesMax: FORM_BYTES_MAX,
        summary: 'Set a password',
        body: {
          schema: newPassword,
          example: { ticket: ticketExample, password: 'staple, correct!' },
          isForm: true,
        },
        answers: { 303: { description: 'It is set, and on to the form to sign in' } },
      },
      async ({ body: { ticket, password } }, { address }) => {
        const fault = passwordFault(password)
        if (fault !== undefined) {
          return newPasswordPage(path, ticket, { fault: `The password: ${fault}.`, status: 422 })
        }
        try {
          await passwordResets.reset(ticket, password, address)
        } catch (error) {
          // It is made of a name, or too many are being set just now: the link is still good.
          if (!(error instanceof Problem) || error.kind === authProblems.badTicket.kind) throw error
          const { status } = error.kind
          const fault = status === 422 ? OBVIOUS : `${error.kind.title}. Try again.`
          return newPasswordPage(path, ticket, { fault, status })
        }
        return new Response(null, {
          status: 303,
          headers: { location: '/sign-in?notice=password-set' },
        })
      },
    ),
  ]

  async function verifyPage(ticket: string, problem?: { fault: string; status: number }) {
    const found = await emailVerification.find(ticket)
    if (found === undefined) throw authProblems.badTicket({ detail: GONE })
    const markup = VerifyEmailPage({
      action: VERIFY_EMAIL,
      ticket,
      ...found,
      fault: problem?.fault,
    })
    return pageOf(markup, { status: problem?.status ?? 200 })
  }

  const verify = [
    route(
      {
        ...page,
        method: 'get',
        path: VERIFY_EMAIL,
        summary: 'The button to confirm an address',
        query,
        answers: shown,
      },
      ({ query: { ticket } }) => verifyPage(ticket),
    ),
    route(
      {
        ...page,
        method: 'post',
        path: VERIFY_EMAIL,
        rate: 'auth',
        bodyBytesMax: FORM_BYTES_MAX,
        summary: 'Confirm an address',
        body: {
          schema: verification,
          example: { ticket: ticketExample, password: 'correct horse battery' },
          isForm: true,
        },
        answers: shown,
      },
      async ({ body: { ticket, password } }, { address }: RequestContext) => {
        try {
          await emailVerification.verify({ ticket, password, address })
        } catch (error) {
          // The password is wrong, or can't be looked at just now: the link is still good.
          if (!(error instanceof Problem) || error.kind === authProblems.badTicket.kind) throw error
          const { title, status } = error.kind
          return verifyPage(ticket, { fault: `${title}. Try again.`, status })
        }
        return pageOf(VerifyEmailPage({ action: VERIFY_EMAIL, ticket, isDone: true }))
      },
    ),
  ]

  return [...forgot, ...setPassword('/reset-password'), ...setPassword('/set-password'), ...verify]
}

/** A link that is void may be replaced by a new one. */
const refusal = (problem: Problem, { url }: Request) => {
  if (problem.kind !== authProblems.badTicket.kind) return refusalPageWith(problem, undefined)
  const isVerification = new URL(url).pathname === VERIFY_EMAIL
  return refusalPageWith(
    problem,
    isVerification
      ? { href: SIGN_IN, text: 'Sign in, which sends another where one is needed' }
      : { href: FORGOT_PASSWORD, text: 'Have a new link sent' },
  )
}

const GONE = 'The link was used, is too old, or was made void by a change since. Ask for a new one.'
const OBVIOUS = 'The password is little more than a name or a word that is easy to guess here.'
