import { z } from 'zod'

import { problems } from '../gateway/problems.ts'
import { scalar } from '../gateway/scalar.ts'
import { roleNames } from '../gateway/scopes.ts'
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
/** Of a link. Whatever is none is told so as one that is not good any more. */
export const ticketText = z.string().max(256)
export const ticket = scalar(ticketText)
export const ticketExample = 'qt_4c1f9m3rWv0uY…'
/** That something will be done, if there is anything to do. */
export const accepted = z.object({ accepted: z.literal(true) })
export const passwordHash = scalar(ruled(importedHashFault))
export const role = z.enum(roleNames)

export const user = z.object({
  id: z.string(),
  username: z.string(),
  email: z.string().nullable(),
  email_verified: z.boolean().meta({ description: 'Whether its owner reads what comes there' }),
  email_pending: z
    .string()
    .nullable()
    .meta({ description: 'The address that its owner asked for and has not verified yet' }),
  role,
  disabled: z.boolean().meta({ description: 'Whether it may not be used' }),
  created_at: z.iso.datetime(),
  updated_at: z.iso.datetime(),
})

export const userExample = {
  id: '0198c5a2-7d31-7c9e-9f1b-2f6a1f0c8e11',
  username: 'ada',
  email: 'ada@example.com',
  email_verified: true,
  email_pending: null,
  role: 'viewer' as const,
  disabled: false,
  created_at: '2026-01-02T03:04:05.678Z',
  updated_at: '2026-01-02T03:04:05.678Z',
}

export const userDocument = (account: User) => ({
  id: account.id,
  username: account.username,
  email: account.email,
  email_verified: account.emailVerifiedAt !== null,
  email_pending: account.emailPending,
  role: account.role,
  disabled: account.disabledAt !== null,
  created_at: account.createdAt,
  updated_at: account.updatedAt,
})

export const noSuchUser = () => problems.notFound({ detail: 'There is no such user.' })

/** @throws {Problem} 404 where there is none. */
export function existingUser(account: User | undefined): User {
  if (account === undefined) throw noSuchUser()
  return account
}
