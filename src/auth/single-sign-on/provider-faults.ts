import { AuthorizationResponseError, ClientError, ResponseBodyError } from 'openid-client'

import { Problem } from '../../gateway/problem.ts'
import { Unavailable } from '../../platform/unavailable.ts'
import { authProblems } from '../problems.ts'

/** The codes of RFC 6749 §4.1.2.1 and §5.2 and of OpenID; whatever else comes is not repeated. */
const CODE = /^[a-z_]{1,64}$/
/** The code was used, or is too old. The second is GitHub's word for it. */
const STALE_CODES = new Set(['invalid_grant', 'bad_verification_code'])

/**
 * What a failed step with a provider is to who signs in. What the provider sent is neither shown nor
 * logged: there are tokens in it.
 */
export function providerFault(error: unknown): Problem | Unavailable {
  const chain = causesOf(error)
  const known = chain.find((each) => each instanceof Problem || each instanceof Unavailable)
  if (known !== undefined) return known
  if (error instanceof AuthorizationResponseError) {
    return authProblems.signOnRefused({
      detail: `The identity provider says: ${said(error.error)}.`,
    })
  }
  const code = errorOf(chain)
  if (code !== undefined && STALE_CODES.has(code)) {
    return authProblems.signOnInvalid({
      detail: 'What the identity provider sent is not good any more. Begin again.',
    })
  }
  const fault = chain.map(({ message }) => message).join(': ')
  const cause = new Error(code === undefined ? fault : `${fault}: ${said(code)}`)
  return authProblems.providerFailed({
    detail: 'The answer of the identity provider can not be believed. The log says more.',
    cause,
  })
}

function causesOf(error: unknown): Error[] {
  const chain: Error[] = []
  for (let each = error; each instanceof Error && chain.length < 10; each = each.cause) {
    chain.push(each)
  }
  return chain
}

/** What the provider says is wrong, by RFC 6749 §5.2 with 400, or as GitHub does with 200. */
function errorOf(chain: Error[]): string | undefined {
  const refusal = chain.find((each) => each instanceof ResponseBodyError)
  if (refusal !== undefined) return refusal.error
  const last = chain.findLast((each) => each instanceof ClientError || each.cause !== undefined)
  const body = (last?.cause as { body?: { error?: unknown } } | undefined)?.body
  return typeof body?.error === 'string' ? body.error : undefined
}

const said = (code: string) => (CODE.test(code) ? code : 'an unknown error')
