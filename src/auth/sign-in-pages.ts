import { Problem } from '../gateway/problem.ts'
import { FORGOT_PASSWORD } from './links.routes.ts'
import { type Markup, pageOf } from './pages/layout.tsx'
import { PASSKEY_SCRIPT } from './pages/passkey.tsx'
import { SecondFactorPage } from './pages/second-factor.tsx'
import { type ProviderLink, SignInPage } from './pages/sign-in.tsx'
import { authProblems } from './problems.ts'
import type { SecondFactorLogins } from './second-factors/second-factor-logins.ts'
import {
  PASSKEY,
  type ReturnAddresses,
  SECOND_FACTOR,
  signInPath,
} from './sessions/return-addresses.ts'
import { SIGN_UP } from './sign-up-page.routes.ts'

/** Why somebody is sent to sign in, by what stands in the address. */
const NOTICES: ReadonlyMap<string, string> = new Map([
  ['password-set', 'Your password is set. Sign in with it.'],
  ['signed-up', 'Your account is made. Sign in to it.'],
  ['signed-out', 'You are signed out.'],
])

/** The pages by which a browser is signed in, each empty or again with what is wrong. */
export interface SignInPages {
  /** Name and password. */
  form(returnTo: string | undefined, problem?: Problem, state?: FormState): Response
  /** What the account asks for beside. */
  secondStep(
    returnTo: string | undefined,
    state: { ticket: string; fault?: string; isRecovery?: boolean },
    problem?: Problem,
  ): Promise<Response>
  /** The form again, after fields that are none of its. */
  formAgain(invalid: string): (problem: Problem, request: Request) => Response
}

interface FormState {
  username?: string
  /** Says what is wrong where it is the fields. */
  invalid?: string
  notice?: string | undefined
  /** Whose session this browser has already. */
  signedInAs?: string | undefined
}

export function createSignInPages(deps: {
  secondFactorLogins: SecondFactorLogins
  returns: ReturnAddresses
  /** Where else people may sign in, and where that begins. */
  providers: readonly { id: string; title: string }[]
  isSignUpOpen: boolean
}): SignInPages {
  const { secondFactorLogins, returns } = deps

  const providersTo = (target: string | undefined): ProviderLink[] =>
    deps.providers.map(({ id, title }) => {
      const search = target === undefined ? '' : `?return_to=${encodeURIComponent(target)}`
      return { name: title, path: `/api/v1/auth/sso/${encodeURIComponent(id)}/start${search}` }
    })

  /** Where the form leads in the end, where that is another origin. */
  function aim(returnTo: string | undefined) {
    const target = returns.admit(returnTo)
    return { target, leadsTo: target === undefined ? undefined : returns.originOf(target) }
  }

  function form(
    returnTo: string | undefined,
    problem?: Problem,
    { username, invalid, notice = '', signedInAs }: FormState = {},
  ): Response {
    const { target, leadsTo } = aim(returnTo)
    const fault = problem === undefined ? undefined : faultOf(problem, invalid)
    const markup = SignInPage({
      action: signInPath(target),
      username,
      fault,
      notice: NOTICES.get(notice),
      signedInAs,
      forgotPath: FORGOT_PASSWORD,
      signUpPath: deps.isSignUpOpen ? SIGN_UP : undefined,
      providers: providersTo(target),
      passkeyAction: signInPath(target, PASSKEY),
    })
    return answerOf(markup, leadsTo, problem)
  }

  return {
    form,
    async secondStep(returnTo, state, problem) {
      const { target, leadsTo } = aim(returnTo)
      const methods = await secondFactorLogins.methods(state.ticket)
      const action = signInPath(target, SECOND_FACTOR)
      return answerOf(SecondFactorPage({ action, methods, ...state }), leadsTo, problem)
    },
    formAgain:
      (invalid) =>
      (problem, { url }) =>
        form(returnToOf(url), problem, { invalid }),
  }
}

const returnToOf = (url: string) => new URL(url).searchParams.get('return_to') ?? undefined

/** What programs are told of, in the words of the page: nobody has seen a ticket or a challenge. */
const SAID = new Map([
  [
    authProblems.badSecondFactorTicket.kind,
    'That took too long, or was tried too often. Sign in again.',
  ],
  [
    authProblems.badPasskey.kind,
    'The passkey is not known here, or it took too long. Try again, or use your password.',
  ],
])

/** What is wrong, as a page says it. */
export function faultOf({ kind, options }: Problem, invalid?: string): string {
  if (kind.status === 422 && invalid !== undefined) return invalid
  return SAID.get(kind) ?? options.detail ?? `${kind.title}. ${kind.advice}`
}

/** With what every refusal says beside, such as when to come back. */
function answerOf(markup: Markup, leadsTo: string | undefined, problem: Problem | undefined) {
  const status = problem?.kind.status ?? 200
  const response = pageOf(markup, { status, leadsTo, scripts: PASSKEY_SCRIPT })
  for (const [name, value] of Object.entries(problem?.options.headers ?? {})) {
    response.headers.set(name, value)
  }
  return response
}
