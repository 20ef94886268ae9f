import { z } from 'zod'

import type { Passkey } from './second-factors/passkeys.ts'

/** A credential's id has up to 1023 bytes (WebAuthn level 3, section 4); the rest is of their size. */
const base64url = (charactersMax: number) =>
  z
    .string()
    .max(charactersMax)
    .regex(/^[\w-]*$/, 'expected base64url without padding')

const credential = {
  id: base64url(1364),
  rawId: base64url(1364),
  type: z.literal('public-key'),
}

/** What a browser says by `PublicKeyCredential.toJSON()`; what newer ones add is left aside. */
export const registrationResponse = z.object({
  ...credential,
  response: z.object({
    clientDataJSON: base64url(4096),
    attestationObject: base64url(8192),
    transports: z.array(z.string().max(32)).max(8).default([]),
  }),
})

export const authenticationResponse = z.object({
  ...credential,
  response: z.object({
    clientDataJSON: base64url(4096),
    authenticatorData: base64url(4096),
    signature: base64url(2048),
    userHandle: base64url(128).nullish(),
  }),
})

/** As a script writes it into a field of a form. */
export const asText = <Schema extends z.ZodType>(schema: Schema) =>
  z
    .string()
    .transform((text, context) => {
      try {
        return JSON.parse(text) as unknown
      } catch {
        context.addIssue({ code: 'custom', message: 'expected JSON' })
        return z.NEVER
      }
    })
    .pipe(schema)

export const passkeyName = z
  .string()
  .trim()
  .min(1)
  .max(64)
  .regex(/^\P{C}*$/u, 'expected printable characters')

export const registrationExample = {
  id: 'dGhlIGlkIG9mIGEgcGFzc2tleQ',
  rawId: 'dGhlIGlkIG9mIGEgcGFzc2tleQ',
  type: 'public-key' as const,
  response: {
    clientDataJSON: 'eyJ0eXBlIjoid2ViYXV0aG4uY3JlYXRlIn0',
    attestationObject: 'o2NmbXRkbm9uZQ',
    transports: ['internal'],
  },
}
export const authenticationExample = {
  id: 'dGhlIGlkIG9mIGEgcGFzc2tleQ',
  rawId: 'dGhlIGlkIG9mIGEgcGFzc2tleQ',
  type: 'public-key' as const,
  response: {
    clientDataJSON: 'eyJ0eXBlIjoid2ViYXV0aG4uZ2V0In0',
    authenticatorData: 'SZYN5YgOjGh0NBcPZHZgW4_krrmihjLHmVzzuoMdl2M',
    signature: 'MEUCIQCx',
    userHandle: 'MDE5OGM1YTItN2QzMS03YzllLTlmMWItMmY2YTFmMGM4ZTEx',
  },
}

/** For the browser, and made for it by a library: of their members only those are named that all have. */
export const creationOptions = z.looseObject({
  challenge: z.string(),
  rp: z.looseObject({ id: z.string().optional(), name: z.string() }),
  user: z.looseObject({ id: z.string(), name: z.string() }),
})
export const requestOptions = z.looseObject({ challenge: z.string(), rpId: z.string().optional() })

export const creationExample = {
  challenge: 'cXRfMXZKSkd0',
  rp: { id: 'localhost', name: 'Quintet' },
  user: {
    id: 'MDE5OGM1YTItN2QzMS03YzllLTlmMWItMmY2YTFmMGM4ZTEx',
    name: 'ada',
    displayName: 'ada',
  },
  pubKeyCredParams: [{ alg: -7, type: 'public-key' }],
  excludeCredentials: [],
  authenticatorSelection: { residentKey: 'required', userVerification: 'required' },
  attestation: 'none',
  timeout: 300_000,
}
export const requestExample = {
  challenge: 'cXRfMXZKSkd0',
  rpId: 'localhost',
  userVerification: 'required',
  timeout: 300_000,
}

/** What answers say of a passkey. */
export const passkey = z.object({
  id: z.string(),
  name: z.string(),
  created_at: z.iso.datetime(),
  used_at: z.iso.datetime().nullable().meta({ description: 'When it logged me in last' }),
  transports: z
    .array(z.string())
    .meta({ description: 'How browsers reach it, by their own words' }),
  backed_up: z.boolean().meta({ description: 'Whether its authenticator keeps copies elsewhere' }),
})

export const passkeyExample = {
  id: '0198c5a2-7e02-7b11-8d3c-5b8f0b6c1d22',
  name: 'My laptop',
  created_at: '2026-01-02T03:04:05.678Z',
  used_at: null,
  transports: ['internal'],
  backed_up: false,
}

export const passkeyDocument = (stored: Passkey) => ({
  id: stored.id,
  name: stored.name,
  created_at: stored.createdAt,
  used_at: stored.usedAt,
  transports: stored.transports,
  backed_up: stored.isBackedUp,
})
