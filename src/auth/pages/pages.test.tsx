import { describe, expect, test } from 'bun:test'

import { AccountPage } from './account.tsx'
import { pageOf, textOf } from './layout.tsx'
import { ForgotPasswordPage, NewPasswordPage } from './passwords.tsx'
import { RefusalPage } from './refusal.tsx'
import { SecondFactorPage } from './second-factor.tsx'
import { RecoveryCodesPage, SecondFactorsPage, TotpSetupPage } from './second-factors.tsx'
import { SignInPage } from './sign-in.tsx'
import { SignOutPage } from './sign-out.tsx'
import { VerifyEmailPage } from './verify-email.tsx'

const HOSTILE = `"'><script>alert(1)</script><b id=x onclick=y>&lt;`
const form = { action: `/there?a=1&b=${HOSTILE}`, fault: HOSTILE, ticket: HOSTILE }
const session = { id: HOSTILE, device: HOSTILE, address: HOSTILE, usedAt: HOSTILE }

const actions = {
  beginTotp: `/totp?b=${HOSTILE}`,
  confirmTotp: '/totp/confirmation',
  removeTotp: '/totp/removal',
  recoveryCodes: '/codes',
  addPasskey: `/passkeys?b=${HOSTILE}`,
  removePasskey: '/passkeys/removal',
}

/** Every page, with all that can be put into it, by somebody who means ill. */
const pages = {
  'sign in': SignInPage({
    ...form,
    username: HOSTILE,
    providers: [{ name: HOSTILE, path: `/a${HOSTILE}` }],
    forgotPath: '/forgot',
    passkeyAction: `/sign-in/passkey?a=${HOSTILE}`,
  }),
  'sign in, at first': SignInPage({ action: '/sign-in' }),
  'sign out': SignOutPage(form),
  account: AccountPage({
    username: HOSTILE,
    email: HOSTILE,
    role: HOSTILE,
    hasPassword: true,
    fault: HOSTILE,
    done: HOSTILE,
    sessions: [
      { ...session, isCurrent: true },
      { ...session, isCurrent: false },
      { ...session, device: null, address: null, usedAt: null, isCurrent: false },
    ],
  }),
  refusal: RefusalPage({ title: HOSTILE, detail: HOSTILE }),
  'refusal of a sign-on': RefusalPage({
    title: HOSTILE,
    detail: HOSTILE,
    way: { href: `/there${HOSTILE}`, text: HOSTILE },
  }),
  'second factor': SecondFactorPage({ ...form, methods: ['totp', 'recovery_code', 'passkey'] }),
  'second factor, by recovery code': SecondFactorPage({
    ...form,
    methods: ['totp', 'recovery_code'],
    isRecovery: true,
  }),
  'second factor, by passkey': SecondFactorPage({ ...form, methods: ['passkey'] }),
  'forgot password': ForgotPasswordPage({ ...form, username: HOSTILE, isMailed: true }),
  'forgot password, sent': ForgotPasswordPage({ action: '/forgot', isMailed: false, isSent: true }),
  'second factors, none': SecondFactorsPage({
    actions,
    isTotpEnabled: false,
    passkeys: [],
    recoveryCodesLeft: 0,
    isOwing: true,
    next: '/account',
  }),
  'second factors': SecondFactorsPage({
    actions,
    isTotpEnabled: true,
    passkeys: [
      { id: HOSTILE, name: HOSTILE, usedAt: null },
      { id: '2', name: 'My laptop', usedAt: '2026-01-02 03:04 UTC' },
    ],
    recoveryCodesLeft: 9,
    isOwing: false,
    next: HOSTILE,
    fault: HOSTILE,
  }),
  'app, set up': TotpSetupPage({
    action: '/confirm',
    secret: 'GEZDGNBVGY3TQOJQ',
    uri: HOSTILE,
    back: '/account',
    fault: HOSTILE,
  }),
  'recovery codes': RecoveryCodesPage({ codes: [HOSTILE, 'b'], next: '/account' }),
  'new password': NewPasswordPage({ ...form, username: HOSTILE }),
  'first password': NewPasswordPage({ ...form, isFirst: true }),
  'verify e-mail': VerifyEmailPage({
    ...form,
    username: HOSTILE,
    email: HOSTILE,
    asksPassword: true,
  }),
  'verify e-mail, done': VerifyEmailPage({ ...form, isDone: true }),
}

interface Tag {
  name: string
  attributes: Record<string, string>
}

/** Every element as a browser would find it. */
function tagsOf(html: string): Tag[] {
  const tags: Tag[] = []
  new HTMLRewriter()
    .on('*', {
      element: ({ tagName, attributes }) =>
        void tags.push({ name: tagName, attributes: Object.fromEntries(attributes) }),
    })
    .transform(html)
  return tags
}

describe.each(Object.entries(pages))('%s', (_, markup) => {
  const html = textOf(markup)
  const tags = tagsOf(html)
  const all = (name: string) => tags.filter((tag) => tag.name === name)
  const ids = tags.flatMap(({ attributes }) => attributes['id'] ?? [])
  const typed = all('input').filter(({ attributes }) => attributes['type'] !== 'hidden')

  test('says its language, and what it is, in one title and one heading', () => {
    expect(html).toStartWith('<!doctype html><html lang="en">')
    expect([all('title').length, all('h1').length, all('main').length]).toEqual([1, 1, 1])
  })

  test('lets nothing that is put into it become an element or an attribute', () => {
    expect(html).not.toContain('<script>')
    // Ours, where there is one, has a type.
    expect(all('script').map(({ attributes }) => attributes)).toEqual(
      all('form').some(({ attributes }) => 'data-passkey' in attributes)
        ? [{ type: 'module' }]
        : [],
    )
    expect(all('b')).toEqual([])
    const names = tags.flatMap(({ attributes }) => Object.keys(attributes))
    expect(names.filter((name) => name.startsWith('on') || name === 'style')).toEqual([])
  })

  test('labels whatever is typed, and tells password managers what it is', () => {
    const labelled = all('label').map(({ attributes }) => attributes['for'])
    expect(typed.map(({ attributes }) => attributes['id'])).toEqual(labelled)
    for (const { attributes } of typed) {
      expect(attributes['autocomplete']).toMatch(
        /^(username|current-password|new-password|one-time-code|off)$/,
      )
    }
  })

  test('refers to what is there, and to each once', () => {
    expect(ids).toEqual([...new Set(ids)])
    const referred = tags.flatMap(({ attributes }) =>
      ['aria-describedby', 'aria-labelledby', 'for'].flatMap(
        (name) => attributes[name]?.split(' ') ?? [],
      ),
    )
    expect(referred.filter((id) => !ids.includes(id))).toEqual([])
  })

  test('never has a password in it', () => {
    const passwords = typed.filter(({ attributes }) => attributes['type'] === 'password')
    expect(passwords.filter(({ attributes }) => 'value' in attributes)).toEqual([])
  })

  test('has a name for every button, and sends forms by POST', () => {
    const names = [...html.matchAll(/<button([^>]*)>(.*?)<\/button>/g)].map(
      ([, attributes, text]) => /aria-label="[^"]+"/.test(attributes!) || text !== '',
    )
    expect(names).toEqual(all('button').map(() => true))
    for (const { attributes } of all('form')) expect(attributes['method']).toBe('post')
  })
})

test('a fault is announced, stands in the title, and is what the inputs point to', () => {
  const tags = tagsOf(textOf(SignInPage({ action: '/sign-in', fault: 'It is wrong.' })))
  expect(tags.find(({ attributes }) => attributes['role'] === 'alert')?.attributes['id']).toBe(
    'fault',
  )
  const inputs = tags.filter(({ name }) => name === 'input')
  for (const { attributes } of inputs) {
    expect(attributes).toMatchObject({ 'aria-invalid': 'true', 'aria-describedby': 'fault' })
  }
  expect(textOf(pages['sign in'])).toContain('<title>Error: Sign in · Quintet</title>')
})

test('what was typed comes back as it was', () => {
  const tags = tagsOf(textOf(SignInPage({ action: '/sign-in', username: 'Zoë "Z" <z>' })))
  const input = tags.find(({ attributes }) => attributes['name'] === 'username')
  expect(unescaped(input!.attributes['value']!)).toBe('Zoë "Z" <z>')
})

test('a page may load nothing but its own style, and its forms lead only here', () => {
  const headers = pageOf(pages['sign out']).headers
  const policy = headers.get('content-security-policy')!
  expect(policy).toContain("default-src 'none'; script-src 'none'; style-src 'sha256-")
  expect(policy).toContain("form-action 'self';")
  expect(policy).toContain("frame-ancestors 'none'")
  // Under `no-referrer` browsers send forms with `Origin: null`.
  expect(headers.get('referrer-policy')).toBe('same-origin')
})

/** The characters that the markup escapes. */
const unescaped = (text: string) =>
  text
    .replaceAll('&quot;', '"')
    .replaceAll('&#39;', "'")
    .replaceAll('&lt;', '<')
    .replaceAll('&gt;', '>')
    .replaceAll('&amp;', '&')

test('who has passkeys alone is told what is left where the button is not', () => {
  const alone = textOf(pages['second factor, by passkey'])
  expect(alone).toContain('Without it, ask an administrator')
  expect(alone).not.toContain('recovery code')
  const methods = ['passkey', 'recovery_code'] as const
  const kept = textOf(SecondFactorPage({ action: '/there', ticket: 'qt_x', methods }))
  expect(kept).toContain('use a recovery code, or ask an administrator')
  expect(textOf(pages['second factor'])).not.toContain('administrator')
})
