import { readFileSync } from 'node:fs'

import { z } from 'zod'

import { type Role, roleNames } from '../../gateway/scopes.ts'
import { StartError } from '../../platform/start-error.ts'
import { asciiDomain } from '../accounts/names.ts'

const PROVIDERS_MAX = 20
const LIST_MAX = 1000
const FILE_MARK = '@'
const LOOPBACK = /^(localhost|127(\.\d+){3}|\[::1\])$/

/** What all providers have in common. */
interface CommonSettings {
  /** In addresses, and in what is kept of identities: it stays, whatever the provider is called. */
  id: string
  title: string
  clientId: string
  clientSecret: string | undefined
  scopes: string
  /** At which e-mail addresses people may have accounts made for them, folded. */
  domains: readonly string[]
}

export interface OpenIdSettings extends CommonSettings {
  kind: 'openid'
  issuer: string
  /** The claim that names somebody's groups, by its name or by a path with dots. */
  groupsClaim: string
  /** The role that each group has here. None where roles are given here alone. */
  roles: Readonly<Record<string, Role>> | undefined
  /** Whether an address is its owner's only where the claim `hd` says whose domain it is, as Google has it. */
  hasHostedDomains: boolean
}

export interface GithubSettings extends CommonSettings {
  kind: 'github'
  /** Where people go, and where programs ask. */
  url: string
  apiUrl: string
}

export type ProviderSettings = OpenIdSettings | GithubSettings

/** An issuer is https, so that nobody on the way can be it (OpenID Core §3.1.2.1), but on this machine. */
const secureAddress = z
  .url({ protocol: /^https?$/, error: 'expected an address such as https://id.example.com' })
  .refine(
    (url) => {
      const { protocol, hostname, search, hash, username, password } = new URL(url)
      const isBare = `${search}${hash}${username}${password}` === ''
      return isBare && (protocol === 'https:' || LOOPBACK.test(hostname))
    },
    {
      error: 'expected an https address without query and user, or one of this machine',
      abort: true,
    },
  )

const text = (max = 1000) => z.string().trim().min(1).max(max)
const role = z.enum(roleNames)
const domain = text(253)
  .regex(/^[^@\s]+\.[^@\s.]+$/, 'expected a domain such as example.com')
  .transform(asciiDomain)

const common = {
  id: z.string().regex(/^[a-z0-9][a-z0-9-]{0,31}$/, 'expected up to 32 of a-z, 0-9 and -'),
  title: text(64).optional(),
  client_id: text(),
  domains: z.array(domain).max(LIST_MAX).default([]),
}
const scopes = z
  .array(z.string().regex(/^[!#-[\]-~]+$/, 'expected a scope'))
  .max(50)
  .transform((names) => [...new Set(['openid', ...names])].join(' '))
const groups = {
  groups_claim: text().default('groups'),
  roles: z
    .record(text(), role)
    .refine((roles) => Object.keys(roles).length <= LIST_MAX, `expected at most ${LIST_MAX}`)
    .optional(),
}

const openId = z
  .strictObject({
    ...common,
    ...groups,
    preset: z.undefined().optional(),
    issuer: secureAddress,
    /** None for a public client, which proves itself by PKCE alone. */
    client_secret: text().optional(),
    scopes: scopes.default('openid profile email'),
  })
  .transform(({ id, title, issuer, ...given }): ProviderSettings => ({
    kind: 'openid',
    ...commonOf({ id, title: title ?? id, ...given }),
    issuer,
    scopes: given.scopes,
    groupsClaim: given.groups_claim,
    roles: given.roles,
    hasHostedDomains: false,
  }))

const google = z
  .strictObject({ ...common, preset: z.literal('google'), client_secret: text() })
  .transform(({ title, ...given }): ProviderSettings => ({
    kind: 'openid',
    ...commonOf({ title: title ?? 'Google', ...given }),
    issuer: 'https://accounts.google.com',
    scopes: 'openid profile email',
    groupsClaim: 'groups',
    roles: undefined,
    hasHostedDomains: true,
  }))

const github = z
  .strictObject({
    ...common,
    preset: z.literal('github'),
    client_secret: text(),
    /** Of a GitHub Enterprise Server. */
    url: secureAddress.transform((url) => url.replace(/\/+$/, '')).optional(),
  })
  .transform(({ title, url, ...given }): ProviderSettings => ({
    kind: 'github',
    ...commonOf({ title: title ?? 'GitHub', ...given }),
    scopes: 'read:user user:email',
    url: url ?? 'https://github.com',
    apiUrl: url === undefined ? 'https://api.github.com' : `${url}/api/v3`,
  }))

const commonOf = (given: {
  id: string
  title: string
  client_id: string
  client_secret?: string | undefined
  domains: string[]
}) => ({
  id: given.id,
  title: given.title,
  clientId: given.client_id,
  clientSecret: given.client_secret,
  domains: given.domains,
})

const providers = z
  .array(
    z.discriminatedUnion('preset', [openId, google, github], {
      error: 'expected the preset google or github, or an issuer',
    }),
  )
  .max(PROVIDERS_MAX)
  .refine(
    (all) => new Set(all.map(({ id }) => id)).size === all.length,
    'expected an id of its own for each',
  )

/** What is wrong with `SSO_PROVIDERS`, or nothing. It never tells what it holds: there are secrets in it. */
export function providersFault(setting: string | undefined): string | undefined {
  const read = parse(setting)
  return Array.isArray(read) ? undefined : read
}

/**
 * @param setting a JSON array, or `@` and the path of a file with one.
 * @throws {StartError} when it can't be used.
 */
export function readProviders(setting: string | undefined): ProviderSettings[] {
  const read = parse(setting)
  if (Array.isArray(read)) return read
  throw new StartError(`These settings can't be used:\n  SSO_PROVIDERS: ${read}`)
}

function parse(setting: string | undefined): ProviderSettings[] | string {
  if (setting === undefined) return []
  const json = setting.startsWith(FILE_MARK) ? contentOf(setting.slice(1)) : { text: setting }
  if ('fault' in json) return json.fault
  let value: unknown
  try {
    value = JSON.parse(json.text)
  } catch {
    return 'expected JSON: a list of providers, or @ and the path of a file with one'
  }
  const parsed = providers.safeParse(value)
  if (parsed.success) return parsed.data
  return parsed.error.issues.map(faultOf).join('; ')
}

const faultOf = ({ path, message }: z.core.$ZodIssue) =>
  path.length === 0 ? message : `${path.join('.')}: ${message}`

function contentOf(path: string): { text: string } | { fault: string } {
  try {
    return { text: readFileSync(path, 'utf8') }
  } catch (error) {
    return { fault: `the file can't be read: ${(error as NodeJS.ErrnoException).code}` }
  }
}
