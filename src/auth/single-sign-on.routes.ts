import { z } from '@hono/zod-openapi'

import { invalid, problems } from '../gateway/problems.ts'
import type { Answer, RequestContext, Route } from '../gateway/route.ts'
import { route } from '../gateway/route.ts'
import { scalar } from '../gateway/scalar.ts'
import type { User } from './accounts/new-user.ts'
import { clientOf, documentOf, login, loginExample } from './login-fields.ts'
import { authProblems } from './problems.ts'
import type { BrowserSecret } from './single-sign-on/browser-secret.ts'
import type { Providers } from './single-sign-on/providers.ts'
import { returnAddress } from './single-sign-on/return-path.ts'
import type { SignOns } from './single-sign-on/sign-ons.ts'

const BODY_BYTES_MAX = 16 * 1024
/** The parameter of the page's address by which it gets its session. */
const CODE_PARAMETER = 'login_code'

const provider = z.object({ id: z.string(), title: z.string() })
const pathParameters = z.object({ provider: z.string() })
const startQuery = z.strictObject({
  return_to: z
    .string()
    .max(4096)
    .default('/')
    .openapi({ description: 'Where to go then: a path of this server' }),
})
/** Providers add what they like. */
const answerQuery = z.looseObject({
  code: z.string().optional(),
  state: z.string().optional(),
  iss: z.string().optional(),
  error: z.string().optional(),
})
const codeBody = z.strictObject({ code: scalar(z.string().max(256)) })

/** How a browser gets its session once it has signed on. `secret` is what it holds. */
export type Finish = (
  context: RequestContext,
  signedOn: { account: User; returnTo: URL; secret: string },
) => Answer | Promise<Answer>

/** By a code in the page's address, which the page exchanges: tokens never stand in addresses. */
export const finishByCode =
  (signOns: SignOns): Finish =>
  async (_, { account, returnTo, secret }) => {
    const location = new URL(returnTo)
    location.searchParams.set(CODE_PARAMETER, await signOns.issueCode(account, secret))
    return redirection(location)
  }

const redirection = (location: URL, cookie?: string) =>
  new Response(null, {
    // Not 307, by which a form would be sent on (RFC 9700 §4.12).
    status: 303,
    headers: { location: location.href, ...(cookie === undefined ? {} : { 'set-cookie': cookie }) },
  })

/** @throws {Problem} 422 where it leads elsewhere. */
export function returnOf(path: string, publicUrl: string, ...place: string[]): URL {
  const address = returnAddress(path, publicUrl)
  if (address !== undefined) return address
  throw invalid([{ path: place, detail: 'expected a path of this server, such as /docs' }])
}

/** Signing in where people have their accounts already. */
export function singleSignOnRoutes(deps: {
  providers: Providers
  signOns: SignOns
  browserSecret: BrowserSecret
  publicUrl: string
  finish: Finish
}): Route[] {
  const { providers, signOns, browserSecret, publicUrl, finish } = deps
  return [
    route(
      {
        method: 'get',
        path: '/api/v1/auth/sso',
        access: 'open',
        tag: 'auth',
        summary: 'List identity providers',
        description: 'Where people may sign in instead of here.',
        answers: {
          200: {
            description: 'All of them, in the order of the setting',
            schema: z.object({ providers: z.array(provider) }),
            example: { providers: [{ id: 'company', title: 'Example Ltd' }] },
          },
        },
      },
      () => ({
        body: { providers: [...providers.values()].map(({ id, title }) => ({ id, title })) },
      }),
    ),

    route(
      {
        method: 'get',
        path: '/api/v1/auth/sso/{provider}/start',
        access: 'open',
        rate: 'auth',
        tag: 'auth',
        summary: 'Sign on by a provider',
        description:
          'For browsers, which are sent to the provider. They come back to `return_to` with the parameter `login_code`, which the page exchanges for a session.',
        pathParameters,
        query: startQuery,
        answers: { 303: { description: 'To the provider' } },
        problems: [problems.notFound, authProblems.providerFailed, problems.unavailable],
      },
      async ({ path, query }) => {
        const returnTo = returnOf(query.return_to, publicUrl, 'query', 'return_to')
        const { location, secret } = await signOns.begin(path.provider, returnTo)
        return redirection(location, browserSecret.kept(secret))
      },
    ),

    route(
      {
        method: 'get',
        path: '/api/v1/auth/sso/{provider}/callback',
        access: 'open',
        rate: 'auth',
        tag: 'auth',
        summary: 'Come back from a provider',
        description: 'Where providers send browsers back to. Register this address there.',
        pathParameters,
        query: answerQuery,
        answers: { 303: { description: 'To where the sign-on was to lead' } },
        problems: [
          authProblems.signOnInvalid,
          authProblems.signOnRefused,
          authProblems.accountDisabled,
          problems.notFound,
          authProblems.identityTaken,
          authProblems.providerFailed,
          problems.unavailable,
        ],
      },
      async ({ path }, context) => {
        const secret = browserSecret.read(context.request)
        const answer = new URL(context.request.url).searchParams
        const { account, returnTo } = await signOns.finish(
          path.provider,
          answer,
          secret,
          clientOf(context),
          context.signal,
        )
        if (account === undefined) return redirection(returnTo, browserSecret.forgotten())
        return finish(context, { account, returnTo, secret: secret! })
      },
    ),

    route(
      {
        method: 'post',
        path: '/api/v1/auth/sso/token',
        access: 'open',
        rate: 'auth',
        bodyBytesMax: BODY_BYTES_MAX,
        tag: 'auth',
        summary: 'Exchange a sign-on code',
        description:
          'The `login_code` with which a browser came back, for a session. Once, within a minute, and in that browser alone.',
        body: {
          schema: codeBody,
          example: { code: 'qt_1N5sIuyZ3CxPdnJ3ZcJ3Y1yJm4Vw0k0r9oGf0e6bq8U' },
        },
        answers: {
          200: {
            description: 'As from a login',
            schema: login,
            example: loginExample,
          },
        },
        problems: [authProblems.badSignOnCode, authProblems.accountDisabled],
      },
      async ({ body }, context) => {
        const secret = browserSecret.read(context.request)
        const { account, ...grant } = await signOns.exchange(body.code, secret, clientOf(context))
        const { id, username, role } = account
        return {
          body: { ...documentOf(grant), user: { id, username, role } },
          headers: { 'set-cookie': browserSecret.forgotten() },
        }
      },
    ),
  ]
}
