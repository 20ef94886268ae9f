import { type Role, roleNames } from '../../gateway/scopes.ts'
import { asciiDomain, emailFault } from '../accounts/names.ts'
import { authProblems } from '../problems.ts'
import type { OpenIdSettings, ProviderSettings } from './provider-settings.ts'
import type { Person } from './provider.ts'

/** OpenID Core §2: at most 255 ASCII characters. */
const SUBJECT = /^[\u0020-\u007e]{1,255}$/
const GROUPS_MAX = 10_000
/** The least first. */
/** Whose addresses Google gives out itself. */
const GMAIL = /@gmail\.com$/

type Claims = Record<string, unknown>

/**
 * Reads claims, which are what another server likes to say: each is looked at before it is believed.
 *
 * @param signed of the ID token. They count before what the provider says when asked.
 */
export function personOf(signed: Claims, asked: Claims, settings: OpenIdSettings): Person {
  const all = { ...asked, ...signed }
  const email = emailOf(signed) ?? emailOf(asked)
  const hostedDomain = textOf(all['hd'])
  const isOwned =
    !settings.hasHostedDomains || hostedDomain !== undefined || GMAIL.test(email?.address ?? '')
  return {
    subject: subjectOf(all['sub']),
    email: email && { ...email, isVerified: email.isVerified && isOwned },
    username: textOf(all['preferred_username']),
    role: settings.roles && roleOf(all, settings.groupsClaim, settings.roles),
    mayJoin:
      isListed(email?.address, settings) &&
      (!settings.hasHostedDomains || settings.domains.includes(asciiDomain(hostedDomain ?? ''))),
  }
}

/** @throws {Problem} 502 when it is none. */
function subjectOf(subject: unknown): string {
  if (typeof subject === 'string' && SUBJECT.test(subject)) return subject
  throw authProblems.providerFailed({
    detail: 'The identity provider does not say who it is.',
    cause: new Error('the claim "sub" is not a text of 1 to 255 ASCII characters'),
  })
}

export const isAddress = (text: string) => emailFault(text) === undefined

/** Whether accounts are made for who has the address. */
export function isListed(address: string | undefined, { domains }: ProviderSettings): boolean {
  if (address === undefined) return false
  return domains.includes(asciiDomain(address.slice(address.lastIndexOf('@') + 1)))
}

/** The address and what is said of it come from one place. Some providers write the boolean as a text. */
function emailOf(claims: Claims): Person['email'] {
  const address = textOf(claims['email'])
  if (address === undefined || !isAddress(address)) return undefined
  const verified = claims['email_verified']
  return { address, isVerified: verified === true || verified === 'true' }
}

/** The highest of those that the groups have; who has no such group is a viewer. */
function roleOf(claims: Claims, name: string, roles: Readonly<Record<string, Role>>): Role {
  const groups = new Set(listOf(valueAt(claims, name)).slice(0, GROUPS_MAX))
  const found = Object.entries(roles).filter(([group]) => groups.has(group))
  return roleNames.findLast((role) => found.some(([, each]) => each === role)) ?? 'viewer'
}

/** By its name, which may have dots, or by a path: Keycloak's `realm_access.roles`. */
function valueAt(claims: Claims, name: string): unknown {
  if (Object.hasOwn(claims, name)) return claims[name]
  return name.split('.').reduce<unknown>((value, step) => {
    const isRecord = typeof value === 'object' && value !== null && Object.hasOwn(value, step)
    return isRecord ? (value as Claims)[step] : undefined
  }, claims)
}

const listOf = (value: unknown): unknown[] => (Array.isArray(value) ? value : [value])

const textOf = (value: unknown) => (typeof value === 'string' && value !== '' ? value : undefined)
