import { z } from 'zod'

import type { RequestContext } from '../gateway/route.ts'
import { roleScopes } from '../gateway/scopes.ts'
import type { User } from './accounts/new-user.ts'
import type { Client, Grant } from './sessions/sessions.ts'

export const CREDENTIAL_BYTES_MAX = 16 * 1024

export const role = z.enum(Object.keys(roleScopes) as (keyof typeof roleScopes)[])

/** What answers say of a login, by whatever means. */
export const grant = z.object({
  token: z.string().meta({ description: 'Bearer token, a JWT' }),
  refresh_token: z.string().meta({ description: 'For the next token, once' }),
  expires_in: z.int().meta({ description: 'Life of `token`, in seconds' }),
})
export const login = grant.extend({
  user: z.object({ id: z.string(), username: z.string(), role }),
})

export const grantExample = {
  token: 'eyJhbGciOiJFUzI1NiIs…',
  refresh_token: 'qrt_AZjFon0xfJ6fGy9qHwyOEQ…',
  expires_in: 86_400,
}
export const userId = '0198c5a2-7d31-7c9e-9f1b-2f6a1f0c8e11'
export const loginExample = {
  ...grantExample,
  user: { id: userId, username: 'ada', role: 'viewer' as const },
}

export const clientOf = ({ address, request }: RequestContext): Client => ({
  address,
  device: request.headers.get('user-agent'),
})

export const documentOf = ({ token, refreshToken, expiresInSeconds }: Grant) => ({
  token,
  refresh_token: refreshToken,
  expires_in: expiresInSeconds,
})

export const loginDocumentOf = ({ account, ...granted }: Grant & { account: User }) => {
  const { id, username, role } = account
  return { ...documentOf(granted), user: { id, username, role } }
}
