import { z } from '@hono/zod-openapi'

import { Problem } from '../gateway/problem.ts'
import { problems } from '../gateway/problems.ts'
import { type RequestContext, type Route, route } from '../gateway/route.ts'
import type { Users } from './accounts/users.ts'
import { ACCOUNT, SECOND_FACTORS } from './browser-entry.ts'
import { ownerOf } from './owner.ts'
import { pageOf } from './pages/layout.tsx'
import { minuteOf } from './pages/minute.ts'
import { PASSKEY_SCRIPT } from './pages/passkey.tsx'
import { refusalPageWith } from './pages/refusal.tsx'
import { RecoveryCodesPage, SecondFactorsPage, TotpSetupPage } from './pages/second-factors.tsx'
import { asText, passkeyName, registrationExample, registrationResponse } from './passkey-fields.ts'
import { authProblems } from './problems.ts'
import type { PasskeyRegistrations } from './second-factors/passkey-registrations.ts'
import type { SecondFactors } from './second-factors/second-factors.ts'
import type { RecentLogins } from './sessions/recent-logins.ts'
import { type ReturnAddresses, signInPath } from './sessions/return-addresses.ts'

const FORM_BYTES_MAX = 32 * 1024
const TOTP = `${SECOND_FACTORS}/totp`
const PASSKEYS = `${SECOND_FACTORS}/passkeys`
const RECOVERY_CODES = `${SECOND_FACTORS}/recovery-codes`

const query = z.looseObject({ return_to: z.string().optional() })
const nothing = z.strictObject({})
const confirmation = z.strictObject({
  code: z.string().max(64),
  // Shown again beside a wrong code; whether the code is right, the server knows by its own.
  secret: z.string().regex(/^[A-Z2-7]{16,64}$/),
})
const newPasskey = z.strictObject({ name: passkeyName, response: asText(registrationResponse) })
const choice = z.strictObject({ passkey: z.string().max(64) })

/** The pages on which people set up and remove what they show beside their password. */
export function secondFactorPagesRoutes(deps: {
  users: Users
  secondFactors: SecondFactors
  passkeyRegistrations: PasskeyRegistrations
  recentLogins: RecentLogins
  returns: ReturnAddresses
}): Route[] {
  const { users, secondFactors, passkeyRegistrations, recentLogins, returns } = deps
  const page = { access: 'in-person', isPage: true, tag: 'pages', refusal } as const
  const posted = {
    ...page,
    method: 'post',
    rate: 'auth',
    bodyBytesMax: FORM_BYTES_MAX,
    query,
  } as const
  const shown = { 200: { description: 'A page' } }
  const seen = { 303: { description: 'It is done; back to the page' } }
  const empty = { schema: nothing, example: {}, isForm: true } as const

  /** A path of these pages that knows where its user wanted to go. */
  const to = (path: string, returnTo: string | undefined) =>
    signInPath(returns.admit(returnTo), path)

  async function state(
    context: RequestContext,
    returnTo: string | undefined,
    problem?: Problem,
  ): Promise<Response> {
    const { id } = ownerOf(context)
    const { isTotpEnabled, recoveryCodesLeft } = await secondFactors.state(id)
    const passkeys = await secondFactors.listPasskeys(id)
    const markup = SecondFactorsPage({
      actions: {
        beginTotp: to(TOTP, returnTo),
        confirmTotp: to(`${TOTP}/confirmation`, returnTo),
        removeTotp: to(`${TOTP}/removal`, returnTo),
        recoveryCodes: to(RECOVERY_CODES, returnTo),
        addPasskey: to(PASSKEYS, returnTo),
        removePasskey: to(`${PASSKEYS}/removal`, returnTo),
      },
      isTotpEnabled,
      recoveryCodesLeft,
      passkeys: passkeys.map(({ id, name, usedAt }) => ({
        id,
        name,
        usedAt: usedAt === null ? null : minuteOf(usedAt),
      })),
      isOwing: context.principal.scopes.size === 0,
      next: returns.admit(returnTo) ?? ACCOUNT,
      fault: problem && faultOf(problem),
    })
    return pageOf(markup, { status: problem?.kind.status ?? 200, scripts: PASSKEY_SCRIPT })
  }

  function setup(
    setup: { secret: string; uri: string },
    returnTo: string | undefined,
    problem?: Problem,
  ): Response {
    const markup = TotpSetupPage({
      ...setup,
      action: to(`${TOTP}/confirmation`, returnTo),
      back: to(SECOND_FACTORS, returnTo),
      fault: problem && faultOf(problem),
    })
    return pageOf(markup, { status: problem?.kind.status ?? 200 })
  }

  const showCodes = (codes: readonly string[], returnTo: string | undefined) =>
    pageOf(RecoveryCodesPage({ codes, next: to(SECOND_FACTORS, returnTo) }))

  /** What is wrong with a factor stands on the page; what is wrong with the login leads elsewhere. */
  async function staying(
    context: RequestContext,
    returnTo: string | undefined,
    work: () => Promise<unknown>,
  ): Promise<Response> {
    try {
      await work()
    } catch (error) {
      if (!(error instanceof Problem) || !STAYING.has(error.kind)) throw error
      return state(context, returnTo, error)
    }
    return seeOther(to(SECOND_FACTORS, returnTo))
  }

  async function recent(context: RequestContext) {
    const owner = ownerOf(context)
    await recentLogins.require(owner)
    return owner
  }

  return [
    route(
      {
        ...page,
        method: 'get',
        path: SECOND_FACTORS,
        summary: 'My second factors',
        query,
        answers: shown,
      },
      ({ query }, context) => state(context, query.return_to),
    ),

    route(
      { ...posted, path: TOTP, summary: 'Set up an app', body: empty, answers: shown },
      async ({ query }, context) => {
        const begun = await secondFactors.beginTotp(await recent(context))
        return setup(begun, query.return_to)
      },
    ),

    route(
      {
        ...posted,
        path: `${TOTP}/confirmation`,
        summary: 'Turn the app on',
        body: {
          schema: confirmation,
          example: { code: '287082', secret: 'GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ' },
          isForm: true,
        },
        answers: shown,
      },
      async ({ query, body: { code, secret } }, context) => {
        const owner = ownerOf(context)
        try {
          return showCodes(await secondFactors.confirmTotp(owner, code), query.return_to)
        } catch (error) {
          if (!(error instanceof Problem) || error.kind !== authProblems.badTotpCode.kind)
            throw error
          const account = await users.get(owner.id)
          if (account === undefined) throw problems.invalidToken()
          const uri = secondFactors.totpUri(account.username, secret)
          return setup({ secret, uri }, query.return_to, error)
        }
      },
    ),

    route(
      {
        ...posted,
        path: `${TOTP}/removal`,
        summary: 'Remove the app',
        body: empty,
        answers: seen,
      },
      ({ query }, context) =>
        staying(context, query.return_to, async () =>
          secondFactors.removeTotp(await recent(context)),
        ),
    ),

    route(
      {
        ...posted,
        path: RECOVERY_CODES,
        summary: 'Make new recovery codes',
        body: empty,
        answers: shown,
      },
      async ({ query }, context) => {
        const codes = await secondFactors.replaceRecoveryCodes(await recent(context))
        return showCodes(codes, query.return_to)
      },
    ),

    route(
      {
        ...posted,
        path: PASSKEYS,
        summary: 'Keep a passkey that the browser has made',
        body: {
          schema: newPasskey,
          example: { name: 'My laptop', response: JSON.stringify(registrationExample) },
          isForm: true,
        },
        answers: seen,
      },
      ({ query, body: { name, response } }, context) =>
        staying(context, query.return_to, () =>
          passkeyRegistrations.register(ownerOf(context), name, response),
        ),
    ),

    route(
      {
        ...posted,
        path: `${PASSKEYS}/removal`,
        summary: 'Remove a passkey',
        body: {
          schema: choice,
          example: { passkey: '0198c5a2-7d31-7c9e-9f1b-2f6a1f0c8e11' },
          isForm: true,
        },
        answers: seen,
      },
      ({ query, body }, context) =>
        staying(context, query.return_to, async () =>
          secondFactors.removePasskey(await recent(context), body.passkey),
        ),
    ),
  ]
}

/** Who is not signed in is asked to, and who did so a while ago once more; others are told what is wrong. */
function refusal(problem: Problem): Response {
  if (problem.kind.status === 401) return seeOther(signInPath(SECOND_FACTORS))
  const isTooLate = problem.kind === authProblems.loginNotRecent.kind
  const again = { href: signInPath(SECOND_FACTORS), text: 'Sign in again, and come back' }
  return refusalPageWith(problem, isTooLate ? again : undefined)
}

const STAYING = new Set([
  authProblems.lastLogin.kind,
  authProblems.passkeyKnown.kind,
  authProblems.passkeyRefused.kind,
  authProblems.tooManyPasskeys.kind,
])

const faultOf = ({ kind, options }: Problem) => options.detail ?? kind.advice

const seeOther = (location: string) => new Response(null, { status: 303, headers: { location } })
