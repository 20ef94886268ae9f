import {
  createHash,
  createPrivateKey,
  generateKeyPairSync,
  type KeyObject,
  sign,
} from 'node:crypto'

import { isoCBOR } from '@simplewebauthn/server/helpers'

const AT = { userPresent: 0x01, userVerified: 0x04, backupEligible: 0x08, hasCredential: 0x40 }

/** What one may lie about. */
interface Lies {
  origin?: string
  rpId?: string
  crossOrigin?: boolean
  isUserVerified?: boolean
  /** In place of the next one. */
  counter?: number
  userHandle?: string
  type?: string
  challenge?: string
  /** Signs something else. */
  isForged?: boolean
}
interface RegistrationLies extends Lies {
  /** In place of none; `sign` is by the new key. */
  attestation?: (
    data: Buffer,
    sign: (data: Buffer) => Uint8Array,
  ) => { format: string; statement: Map<string, unknown> }
}

interface Options {
  challenge: string
  rpId?: string
  rp?: { id: string }
  user?: { id: string }
}

/**
 * An authenticator with one ES256 passkey, and the browser before it (WebAuthn level 3), which do as they
 * are told: what no real one would do is refused too. Chromium's is in tests/journeys/passkeys.test.ts.
 */
export function createAuthenticator(origin = 'http://localhost:8080') {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const id = Buffer.from(crypto.getRandomValues(new Uint8Array(32)))
  let counter = 0
  let userHandle: string | undefined

  const clientData = (type: string, options: Options, lies: Lies) =>
    Buffer.from(
      JSON.stringify({
        type: lies.type ?? type,
        challenge: lies.challenge ?? options.challenge,
        origin: lies.origin ?? origin,
        crossOrigin: lies.crossOrigin ?? false,
      }),
    )

  function authenticatorData(rpId: string, lies: Lies, credential?: Buffer): Buffer {
    const flags =
      AT.userPresent |
      (lies.isUserVerified === false ? 0 : AT.userVerified) |
      AT.backupEligible |
      (credential === undefined ? 0 : AT.hasCredential)
    const count = Buffer.alloc(4)
    count.writeUInt32BE(lies.counter ?? ++counter)
    return Buffer.concat([
      sha256(lies.rpId ?? rpId),
      Buffer.of(flags),
      count,
      credential ?? Buffer.alloc(0),
    ])
  }

  const named = {
    id: id.toString('base64url'),
    rawId: id.toString('base64url'),
    type: 'public-key',
  }

  return {
    credentialId: named.id,
    /** As `navigator.credentials.create` answers. */
    register(options: Options, lies: RegistrationLies = {}) {
      userHandle = options.user!.id
      const length = Buffer.alloc(2)
      length.writeUInt16BE(id.length)
      const credential = Buffer.concat([Buffer.alloc(16), length, id, coseOf(publicKey)])
      const client = clientData('webauthn.create', options, lies)
      const data = authenticatorData(options.rp!.id, lies, credential)
      const signed = Buffer.concat([data, sha256(client)])
      const { format, statement } = lies.attestation?.(signed, (bytes) =>
        signedBy(privateKey, bytes),
      ) ?? { format: 'none', statement: new Map() }
      const attestationObject = new Map<string, unknown>([
        ['fmt', format],
        ['attStmt', statement],
        ['authData', new Uint8Array(data)],
      ])
      return {
        ...named,
        clientExtensionResults: {},
        authenticatorAttachment: 'platform',
        response: {
          clientDataJSON: client.toString('base64url'),
          attestationObject: encode(attestationObject).toString('base64url'),
          transports: ['internal'],
          publicKeyAlgorithm: -7,
        },
      }
    },
    /** As `navigator.credentials.get` answers. */
    logIn(options: Options, lies: Lies = {}) {
      const data = authenticatorData(options.rpId!, lies)
      const client = clientData('webauthn.get', options, lies)
      const signed = lies.isForged ? Buffer.from('else') : Buffer.concat([data, sha256(client)])
      return {
        ...named,
        clientExtensionResults: {},
        response: {
          clientDataJSON: client.toString('base64url'),
          authenticatorData: data.toString('base64url'),
          signature: Buffer.from(signedBy(privateKey, signed)).toString('base64url'),
          userHandle: lies.userHandle ?? userHandle,
        },
      }
    },
  }
}

const sha256 = (data: string | Buffer) => createHash('sha256').update(data).digest()

const signedBy = (key: KeyObject, data: Buffer) => new Uint8Array(sign('sha256', data, key))

/** As the maker of an authenticator signs for it; of a maker that nobody knows, and good for 100 years. */
export function attestByCertificate(data: Buffer) {
  const key = createPrivateKey({ key: MAKER.key, format: 'jwk' })
  return {
    format: 'packed',
    statement: new Map<string, unknown>([
      ['alg', -7],
      ['sig', signedBy(key, data)],
      ['x5c', [new Uint8Array(Buffer.from(MAKER.certificate, 'base64'))]],
    ]),
  }
}

const encode = (value: unknown) =>
  Buffer.from(isoCBOR.encode(value as Parameters<typeof isoCBOR.encode>[0]))

/** RFC 9053, section 7.1.1: an ES256 key as authenticators write it. */
function coseOf(key: KeyObject): Buffer {
  const { x, y } = key.export({ format: 'jwk' })
  const bytes = (text: string) => new Uint8Array(Buffer.from(text, 'base64url'))
  return encode(
    new Map<number, unknown>([
      [1, 2],
      [3, -7],
      [-1, 1],
      [-2, bytes(x!)],
      [-3, bytes(y!)],
    ]),
  )
}

/** Made for this test by openssl; the certificate names a list of those that were revoked. */
const MAKER = {
  key: {
    kty: 'EC',
    crv: 'P-256',
    x: '6GLM5kZndUbXz0TnzB788QbqUwPzi9_l3dYOg6jUzP8',
    y: 'QedLs2OziAb1GS2WS2dIvaBNKAAhKaJwIEO_SVHBbe4',
    d: 'seT_GefWTw3K2fnj3WJRZZPTO0CokzTBhji5c65nOmQ',
  },
  certificate:
    'MIICAzCCAaigAwIBAgIUVya/87jgUop5UcOuvkYTiGZxr54wCgYIKoZIzj0EAwIwTzELMAkGA1UEBhMCREUxDTALBg' +
    'NVBAoMBFRlc3QxIjAgBgNVBAsMGUF1dGhlbnRpY2F0b3IgQXR0ZXN0YXRpb24xDTALBgNVBAMMBFRlc3QwIBcNMjYx' +
    'MTIyMjM0MDEwWhgPMjEyNjEwMjkyMzQwMTBaME8xCzAJBgNVBAYTAkRFMQ0wCwYDVQQKDARUZXN0MSIwIAYDVQQLDB' +
    'lBdXRoZW50aWNhdG9yIEF0dGVzdGF0aW9uMQ0wCwYDVQQDDARUZXN0MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE' +
    '6GLM5kZndUbXz0TnzB788QbqUwPzi9/l3dYOg6jUzP9B50uzY7OIBvUZLZZLZ0i9oE0oACEponAgQ79JUcFt7qNgMF' +
    '4wDAYDVR0TAQH/BAIwADAvBgNVHR8EKDAmMCSgIqAghh5odHRwOi8vMTI3LjAuMC4xOjkvcmV2b2tlZC5jcmwwHQYD' +
    'VR0OBBYEFAJbRCvD7hIgUR3pZSvL/RvxeCqEMAoGCCqGSM49BAMCA0kAMEYCIQD9I36LSHezcMFc2EVk3KFS5NAZOX' +
    'CHjXdaCDJ/J6oeAAIhANrrTyJuWP7iZ8h9y0dQPloL/54YwV6eD3Xg8KNMCpCO',
}
