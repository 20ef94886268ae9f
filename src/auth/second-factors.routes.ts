import { z } from '@hono/zod-openapi'

import { problems } from '../gateway/problems.ts'
import { personOf, type RequestContext, type Route, route } from '../gateway/route.ts'
import { scalar } from '../gateway/scalar.ts'
import { ownerOf } from './owner.ts'
import { authProblems } from './problems.ts'
import type { SecondFactors } from './second-factors/second-factors.ts'
import { TOTP_SETUP_SECONDS } from './second-factors/totp.ts'
import type { RecentLogins } from './sessions/recent-logins.ts'

const BODY_BYTES_MAX = 4 * 1024
const RECENT = 'In the ten minutes after a login.'

const state = z.object({
  totp: z.boolean().meta({ description: 'Whether codes of an app are asked for' }),
  passkeys: z.int(),
  recovery_codes: z.int().meta({ description: 'How many are left' }),
})
const codes = z.object({
  recovery_codes: z.array(z.string()).meta({ description: 'Each good once; shown this once' }),
})
const codesExample = {
  recovery_codes: ['7k2mq-0xv4t-h9r3c-bnw58-e1dzj', '4t8sa-m6y0p-2gqkx-v5c1h-93nwr'],
}

/** What I show beside my password. */
export function secondFactorsRoutes(deps: {
  secondFactors: SecondFactors
  recentLogins: RecentLogins
}): Route[] {
  const { secondFactors, recentLogins } = deps

  /** @throws {Problem} 403 unless they have just logged in. */
  async function recent(context: RequestContext) {
    const owner = ownerOf(context)
    await recentLogins.require(owner)
    return owner
  }

  return [
    route(
      {
        method: 'get',
        path: '/api/v1/me/second-factors',
        access: 'in-person',
        tag: 'users',
        summary: 'Look at my second factors',
        answers: {
          200: {
            description: 'What I have',
            schema: state,
            example: { totp: true, passkeys: 1, recovery_codes: 10 },
          },
        },
      },
      async (_, context) => {
        const { isTotpEnabled, passkeys, recoveryCodesLeft } = await secondFactors.state(
          personOf(context).id,
        )
        return { body: { totp: isTotpEnabled, passkeys, recovery_codes: recoveryCodesLeft } }
      },
    ),

    route(
      {
        method: 'post',
        path: '/api/v1/me/totp',
        access: 'in-person',
        rate: 'auth',
        tag: 'users',
        summary: 'Begin to set up TOTP',
        description: `Give \`uri\` to an authenticator app, as a QR code, or type \`secret\` into it, and confirm with the first code. ${RECENT}`,
        answers: {
          200: {
            description: 'For the app; nothing is asked for yet',
            schema: z.object({
              secret: z.string().meta({ description: 'Base32' }),
              uri: z.string(),
              expires_in: z.int().meta({ description: 'Seconds in which to confirm it' }),
            }),
            example: {
              secret: 'GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ',
              uri: 'otpauth://totp/Quintet%20localhost:ada?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=Quintet%20localhost',
              expires_in: TOTP_SETUP_SECONDS,
            },
          },
        },
        problems: [authProblems.loginNotRecent, authProblems.totpEnabled],
      },
      async (_, context) => ({
        body: {
          ...(await secondFactors.beginTotp(await recent(context))),
          expires_in: TOTP_SETUP_SECONDS,
        },
      }),
    ),

    route(
      {
        method: 'post',
        path: '/api/v1/me/totp/confirmation',
        access: 'in-person',
        rate: 'auth',
        bodyBytesMax: BODY_BYTES_MAX,
        tag: 'users',
        summary: 'Enable TOTP',
        description:
          'By the code that the app shows. From then on a login asks for one. My first second factor ends my other sessions.',
        body: {
          schema: z.strictObject({ code: scalar(z.string().max(64)) }),
          example: { code: '287082' },
        },
        answers: {
          200: {
            description: 'Recovery codes, for when the app is lost',
            schema: codes,
            example: codesExample,
          },
        },
        problems: [authProblems.totpNotBegun, authProblems.badTotpCode],
      },
      async ({ body }, context) => ({
        body: {
          recovery_codes: await secondFactors.confirmTotp(ownerOf(context), body.code),
        },
      }),
    ),

    route(
      {
        method: 'delete',
        path: '/api/v1/me/totp',
        access: 'in-person',
        rate: 'auth',
        tag: 'users',
        summary: 'Remove TOTP',
        description: `${RECENT} Recovery codes go with the last second factor.`,
        answers: { 204: { description: 'No code is asked for any more' } },
        problems: [problems.notFound, authProblems.loginNotRecent],
      },
      async (_, context) => {
        if (await secondFactors.removeTotp(await recent(context))) {
          return new Response(null, { status: 204 })
        }
        throw problems.notFound({ detail: 'You have no TOTP.' })
      },
    ),

    route(
      {
        method: 'post',
        path: '/api/v1/me/recovery-codes',
        access: 'in-person',
        rate: 'auth',
        tag: 'users',
        summary: 'Make new recovery codes',
        description: `The old ones are void. ${RECENT}`,
        answers: { 200: { description: 'The new ones', schema: codes, example: codesExample } },
        problems: [authProblems.loginNotRecent, authProblems.noSecondFactor],
      },
      async (_, context) => ({
        body: { recovery_codes: await secondFactors.replaceRecoveryCodes(await recent(context)) },
      }),
    ),
  ]
}
