import { z } from 'zod'

import type { RequestContext } from '../gateway/route.ts'
import type { User } from './accounts/new-user.ts'
import type { Caller, IssuedTokens } from './sessions/sessions.ts'
import { role } from './user-fields.ts'

/** What answers say of a login, by whatever means. */
export const issuedTokens = z.object({
  token: z.string().meta({ description: 'Bearer token, a JWT' }),
  refresh_token: z.string().meta({ description: 'For the next token, once' }),
  expires_in: z.int().meta({ description: 'Life of `token`, in seconds' }),
})
export const login = issuedTokens.extend({
  user: z.object({ id: z.string(), username: z.string(), role }),
})

export const issuedTokensExample = {
  token: 'eyJhbGciOiJFUzI1NiIs…',
  refresh_token: 'qrt_AZjFon0xfJ6fGy9qHwyOEQ…',
  expires_in: 86_400,
}
export const userId = '0198c5a2-7d31-7c9e-9f1b-2f6a1f0c8e11'
export const loginExample = {
  ...issuedTokensExample,
  user: { id: userId, username: 'ada', role: 'viewer' as const },
}

export const callerOf = ({ address, request }: RequestContext): Caller => ({
  address,
  device: request.headers.get('user-agent'),
})

export const issuedTokensDocument = ({ token, refreshToken, expiresInSeconds }: IssuedTokens) => ({
  token,
  refresh_token: refreshToken,
  expires_in: expiresInSeconds,
})

export const loginDocument = ({ account, ...issued }: IssuedTokens & { account: User }) => {
  const { id, username, role } = account
  return { ...issuedTokensDocument(issued), user: { id, username, role } }
}
