import { z } from 'zod'

import { scalar, unboxed } from '../gateway/scalar.ts'
import { isScope, type Scope, scopes, scopesFault } from '../gateway/scopes.ts'
import { usernameFault } from './accounts/names.ts'
import type { ApiKeyView } from './machines/api-keys.ts'
import type { ServiceAccount } from './machines/service-accounts.ts'

const DESCRIPTION_CHARACTERS_MAX = 500
const SCOPES_MAX = Object.keys(scopes).length

/** What requests and answers say of programs' accounts and keys. A name is one as people's are. */
export const machineName = scalar(
  z.string().superRefine((text, context) => {
    const message = usernameFault(text)
    if (message !== undefined) context.addIssue({ code: 'custom', message })
  }),
).meta({ description: '1 to 64 visible characters, no @' })

export const machineDescription = scalar(z.string().max(DESCRIPTION_CHARACTERS_MAX).nullable())

const scopeName = z.string().refine(isScope, { error: ({ input }) => scopesFault([String(input)]) })
export const scopeNames = z
  .preprocess(
    // R writes a list of one as that one.
    (value) => (typeof value === 'string' ? [value] : value),
    z.array(scopeName).min(1).max(SCOPES_MAX),
  )
  .transform((names) => [...new Set(names)] as Scope[])

const apiKey = z.object({
  id: z.string(),
  name: z.string(),
  scopes: z.array(z.string()).meta({
    description: 'What it may be used for, as far as its owner may do it at the time',
  }),
  hint: z.string().meta({ description: 'How the key begins' }),
  created_at: z.iso.datetime(),
  expires_at: z.iso.datetime().nullable(),
  last_used_at: z.iso.datetime().nullable().meta({ description: 'To within a minute or so' }),
})
export const apiKeyExample = {
  id: '0198c5a2-9a44-7f10-8a52-3f7d1c0b9e33',
  name: 'nightly forecast',
  scopes: ['predict'],
  hint: 'qk_7Jt0P',
  created_at: '2026-01-02T03:04:05.678Z',
  expires_at: '2027-01-02T03:04:05.678Z',
  last_used_at: null,
}
export const newApiKeyExample = {
  ...apiKeyExample,
  key: 'qk_7Jt0PRkZ2mXw9sLqT4vNcB8yHgF3dKaE6uVoWiYr1Qx5M2s0GuP',
}
export const apiKeySchema = apiKey
export const newApiKeySchema = apiKey.extend({
  key: z.string().meta({ description: 'The secret, shown this once' }),
})

const TIME_EXAMPLE = '2027-01-02T03:04:05Z'
/** A date, as R's `Sys.Date()` is written, or its `Sys.time()`. */
const DATE = /^(\d{4}-\d\d-\d\d)(?: (\d\d:\d\d:\d\d))?$/
const timeOf = (value: unknown) =>
  typeof value === 'string'
    ? value.replace(DATE, (_, date: string, time = '00:00:00') => `${date}T${time}Z`)
    : value
const time = z.preprocess(
  (value) => timeOf(unboxed(value)),
  z.iso
    .datetime({ offset: true, error: `expected a time such as ${TIME_EXAMPLE}, or a date` })
    .nullish(),
)

export const newApiKeyBody = z.strictObject({
  name: machineName,
  scopes: scopeNames,
  expires_at: time.meta({
    description:
      'When it ends, or the date (UTC) at whose beginning it does; without it, when it is deleted',
  }),
})
export const newApiKeyBodyExample = {
  name: 'nightly forecast',
  scopes: ['predict'],
  expires_at: '2027-01-02T03:04:05.678Z',
}

export const apiKeyDocument = (key: ApiKeyView) => ({
  id: key.id,
  name: key.name,
  scopes: key.scopes,
  hint: key.hint,
  created_at: key.createdAt,
  expires_at: key.expiresAt,
  last_used_at: key.usedAt,
})

export const serviceAccountSchema = z.object({
  id: z.string().meta({ description: 'Also its `client_id`' }),
  name: z.string(),
  description: z.string().nullable(),
  scopes: z.array(z.string()),
  disabled: z.boolean().meta({ description: 'Whether it may not be used' }),
  created_by: z.string().nullable().meta({ description: 'Id of who made it' }),
  created_at: z.iso.datetime(),
  updated_at: z.iso.datetime(),
})
export const serviceAccountExample = {
  id: '0198c5a2-9b02-7c61-9d0e-5a2e8b7f4c44',
  name: 'reporting',
  description: 'Cron job on the R server',
  scopes: ['predict', 'models:read'],
  disabled: false,
  created_by: '0198c5a2-7d31-7c9e-9f1b-2f6a1f0c8e11',
  created_at: '2026-01-02T03:04:05.678Z',
  updated_at: '2026-01-02T03:04:05.678Z',
}

export const serviceAccountDocument = (account: ServiceAccount) => ({
  id: account.id,
  name: account.name,
  description: account.description,
  scopes: account.scopes,
  disabled: account.disabledAt !== null,
  created_by: account.createdBy,
  created_at: account.createdAt,
  updated_at: account.updatedAt,
})
