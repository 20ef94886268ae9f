import type {
  AuthenticationResponseJSON,
  PublicKeyCredentialCreationOptionsJSON,
  PublicKeyCredentialRequestOptionsJSON,
  RegistrationResponseJSON,
} from '@simplewebauthn/server'

import type { Database } from '../../platform/database/database.ts'
import type { Tickets } from '../tickets/tickets.ts'
import type { NewPasskey, Passkey, Passkeys } from './passkeys.ts'

const CHALLENGE_SECONDS = 300
/** Ed25519, ES256, RS256: what authenticators make. */
const ALGORITHMS = [-8, -7, -257]

type Challenge = NonNullable<Awaited<ReturnType<Tickets['read']>>>
type CreationOptions = PublicKeyCredentialCreationOptionsJSON
export type RequestOptions = PublicKeyCredentialRequestOptionsJSON
/** What a browser's `toJSON()` says of a credential; nothing in it is believed before it is checked. */
type RegistrationResponse = Omit<RegistrationResponseJSON, 'clientExtensionResults'>
export interface AuthenticationResponse extends Omit<
  AuthenticationResponseJSON,
  'clientExtensionResults' | 'response'
> {
  response: Omit<AuthenticationResponseJSON['response'], 'userHandle'> & {
    userHandle?: string | null | undefined
  }
}

/** A signature that is right. Whether it is the right one's to use is for the caller to see. */
interface Assertion {
  passkey: Passkey
  /** The account that the authenticator has it for. None where it did not say. */
  userHandle: string | undefined
  challenge: Challenge
  counter: number
  isBackedUp: boolean
}

/**
 * What goes to an authenticator and what comes back from it (WebAuthn level 3). Each challenge is a
 * ticket: good once, for one purpose, for five minutes. User verification is always asked for, so
 * that a passkey is two factors in one.
 */
export interface PasskeyCeremonies {
  registrationOptions(
    account: { id: string; username: string },
    sessionId: string,
    known: Passkey[],
  ): Promise<CreationOptions>
  /** @returns the challenge that was signed, and the new passkey; `undefined` where something is wrong. */
  verifyRegistration(
    response: RegistrationResponse,
  ): Promise<{ challenge: Challenge; passkey: NewPasskey } | undefined>
  /** For whoever comes: the authenticator says who it is. */
  loginOptions(): Promise<RequestOptions>
  /** For an account whose password was right; `ticket` is what the challenge is bound to. */
  secondFactorOptions(
    account: { id: string },
    ticket: string,
    known: Passkey[],
  ): Promise<RequestOptions>
  /** `undefined` where something is wrong. */
  verify(
    purpose: 'passkey_login' | 'passkey_second_factor',
    response: AuthenticationResponse,
  ): Promise<Assertion | undefined>
}

export function createPasskeyCeremonies(deps: {
  database: Database
  tickets: Tickets
  passkeys: Passkeys
  /** Whose host and origin the passkeys are bound to. */
  publicUrl: string
}): PasskeyCeremonies {
  const { database, tickets, passkeys } = deps
  const { hostname: rpID, origin } = new URL(deps.publicUrl)
  /** At its first use: to load it takes 100 ms, which would be the start's. */
  const library = () => import('@simplewebauthn/server')

  const challengeFor = (ticket: Omit<Parameters<Tickets['issue']>[1], 'ttlSeconds'>) =>
    database.write((tx) => tickets.issue(tx, { ...ticket, ttlSeconds: CHALLENGE_SECONDS }))

  /** Takes the ticket that a response has signed as its challenge, whatever else is wrong with it. */
  async function redeem(purpose: Challenge['purpose'], clientDataJSON: string) {
    const secret = signedTicket(clientDataJSON)
    if (secret === undefined) return undefined
    const challenge = await database.write((tx) => tickets.redeem(tx, purpose, secret))
    return challenge === undefined
      ? undefined
      : { challenge, expectedChallenge: Buffer.from(secret).toString('base64url') }
  }

  async function requestOptions(challenge: string, known?: Passkey[]) {
    const { generateAuthenticationOptions } = await library()
    return generateAuthenticationOptions({
      rpID,
      challenge,
      userVerification: 'required',
      timeout: CHALLENGE_SECONDS * 1000,
      ...(known === undefined ? {} : { allowCredentials: known.map(descriptorOf) }),
    })
  }

  return {
    async registrationOptions({ id, username }, sessionId, known) {
      const { generateRegistrationOptions } = await library()
      return generateRegistrationOptions({
        rpName: 'Quintet',
        rpID,
        userID: Buffer.from(id),
        userName: username,
        userDisplayName: username,
        challenge: await challengeFor({
          purpose: 'passkey_registration',
          accountId: id,
          data: { sessionId },
        }),
        timeout: CHALLENGE_SECONDS * 1000,
        attestationType: 'none',
        excludeCredentials: known.map(descriptorOf),
        authenticatorSelection: { residentKey: 'required', userVerification: 'required' },
        supportedAlgorithmIDs: ALGORITHMS,
      })
    },

    async verifyRegistration(response) {
      const taken = await redeem('passkey_registration', response.response.clientDataJSON)
      if (taken === undefined) return undefined
      const { verifyRegistrationResponse } = await library()
      try {
        if (!(await isWithoutCertificates(response.response.attestationObject))) return undefined
        const { verified, registrationInfo } = await verifyRegistrationResponse({
          response: { ...response, clientExtensionResults: {} },
          expectedChallenge: taken.expectedChallenge,
          expectedOrigin: origin,
          expectedRPID: rpID,
          requireUserVerification: true,
          supportedAlgorithmIDs: ALGORITHMS,
        })
        if (!verified) return undefined
        const { credential, credentialBackedUp } = registrationInfo
        return {
          challenge: taken.challenge,
          passkey: {
            credentialId: credential.id,
            publicKey: Buffer.from(credential.publicKey).toString('base64url'),
            counter: credential.counter,
            transports: credential.transports ?? [],
            isBackedUp: credentialBackedUp,
          },
        }
      } catch {
        // The library throws for whatever does not match.
        return undefined
      }
    },

    async loginOptions() {
      return requestOptions(await challengeFor({ purpose: 'passkey_login', accountId: null }))
    },

    async secondFactorOptions({ id }, ticket, known) {
      const purpose = 'passkey_second_factor'
      const challenge = await challengeFor({ purpose, accountId: id, data: { ticket } })
      return requestOptions(challenge, known)
    },

    async verify(purpose, response) {
      const taken = await redeem(purpose, response.response.clientDataJSON)
      const passkey = await passkeys.find(response.id)
      if (taken === undefined || passkey === undefined) return undefined
      const { verifyAuthenticationResponse } = await library()
      const { userHandle, ...signed } = response.response
      try {
        const { verified, authenticationInfo } = await verifyAuthenticationResponse({
          response: { ...response, response: signed, clientExtensionResults: {} },
          expectedChallenge: taken.expectedChallenge,
          expectedOrigin: origin,
          expectedRPID: rpID,
          requireUserVerification: true,
          credential: {
            id: passkey.credentialId,
            publicKey: new Uint8Array(Buffer.from(passkey.publicKey, 'base64url')),
            // The library looks at it before the signature, so that anybody could report a copy. We do after.
            counter: 0,
          },
        })
        if (!verified) return undefined
        return {
          passkey,
          userHandle: userHandle ? Buffer.from(userHandle, 'base64url').toString() : undefined,
          challenge: taken.challenge,
          counter: authenticationInfo.newCounter,
          isBackedUp: authenticationInfo.credentialBackedUp,
        }
      } catch {
        return undefined
      }
    },
  }
}

/** As browsers are told which ones an account has. */
const descriptorOf = ({ credentialId: id, transports }: Passkey) => ({ id, transports })

/** The challenge of a response, unless another site had it made within a frame. */
function signedTicket(clientDataJSON: string): string | undefined {
  try {
    const data: unknown = JSON.parse(Buffer.from(clientDataJSON, 'base64url').toString())
    const { challenge, crossOrigin } = data as Record<string, unknown>
    if (typeof challenge !== 'string' || (crossOrigin ?? false) !== false) return undefined
    return Buffer.from(challenge, 'base64url').toString()
  } catch {
    return undefined
  }
}

/**
 * Whether an attestation is none, or the credential's own signature. More was not asked for, and to check a
 * chain of certificates the library fetches lists of those that were revoked, from where the chain says.
 */
async function isWithoutCertificates(attestationObject: string): Promise<boolean> {
  const { decodeAttestationObject } = await import('@simplewebauthn/server/helpers')
  const decoded = decodeAttestationObject(
    new Uint8Array(Buffer.from(attestationObject, 'base64url')),
  )
  const format = decoded.get('fmt')
  return (
    format === 'none' || (format === 'packed' && decoded.get('attStmt').get('x5c') === undefined)
  )
}
