import { z } from 'zod'

import { scalar } from '../gateway/scalar.ts'
import { roleScopes } from '../gateway/scopes.ts'
import { emailFault, usernameFault } from './accounts/names.ts'
import type { User } from './accounts/new-user.ts'
import { importedHashFault } from './passwords/password-hashes.ts'
import { passwordFault } from './passwords/password-rules.ts'

/** Text by a rule that says what is wrong with it. */
const ruled = (faultOf: (text: string) => string | undefined) =>
  z.string().superRefine((text, context) => {
    const message = faultOf(text)
    if (message !== undefined) context.addIssue({ code: 'custom', message })
  })

/** What requests and answers say of users. */
export const username = scalar(ruled(usernameFault)).meta({
  description: 'Unique, whatever the case',
})
export const email = scalar(ruled(emailFault).nullish())
export const password = scalar(ruled(passwordFault)).meta({
  description: '8 to 128 characters of any kind, none of the most common passwords',
})
export const passwordHash = scalar(ruled(importedHashFault))
export const roleName = z.enum(Object.keys(roleScopes) as (keyof typeof roleScopes)[])

export const user = z.object({
  id: z.string(),
  username: z.string(),
  email: z.string().nullable(),
  role: roleName,
  disabled: z.boolean().meta({ description: 'Whether it may not be used' }),
  created_at: z.iso.datetime(),
  updated_at: z.iso.datetime(),
})

export const userExample = {
  id: '0198c5a2-7d31-7c9e-9f1b-2f6a1f0c8e11',
  username: 'ada',
  email: 'ada@example.com',
  role: 'viewer' as const,
  disabled: false,
  created_at: '2026-01-02T03:04:05.678Z',
  updated_at: '2026-01-02T03:04:05.678Z',
}

export const documentOf = (account: User) => ({
  id: account.id,
  username: account.username,
  email: account.email,
  role: account.role,
  disabled: account.disabledAt !== null,
  created_at: account.createdAt,
  updated_at: account.updatedAt,
})
