import { generateSecret, generateURI, verifySync } from 'otplib'

/** What every authenticator app does: 6 digits by HMAC-SHA-1, another each 30 seconds (RFC 6238). */
const PERIOD_SECONDS = 30
const SECRET_BYTES = 20
const SHAPE = /^\d{6}$/

/** A secret in base32, with as many bits as HMAC-SHA-1 has (RFC 4226, section 4). */
export const newTotpSecret = () => generateSecret({ length: SECRET_BYTES })

/** The address from which an app reads the secret, mostly as a QR code. */
export function totpUri(
  secret: string,
  { username, hostname }: { username: string; hostname: string },
) {
  // A colon ends the issuer's name, so a port or a colon in a name would shift it.
  const label = username.replaceAll(':', ' ')
  return generateURI({ issuer: `Quintet ${hostname}`, label, secret })
}

/** A code as it is typed: apps show it in two halves. */
export const typedTotpCode = (text: string): string | undefined => {
  const code = text.replaceAll(/[\s-]/g, '')
  return SHAPE.test(code) ? code : undefined
}

/**
 * The time step that a code belongs to; `undefined` where it is none of this secret's by now. One step
 * early or late is taken: clocks disagree, and typing takes a while (RFC 6238, section 5.2).
 */
export function totpStepOf(secret: string, code: string, nowMs: number): number | undefined {
  const epoch = Math.floor(nowMs / 1000)
  const result = verifySync({ secret, token: code, epoch, epochTolerance: PERIOD_SECONDS })
  return result.valid && 'timeStep' in result ? result.timeStep : undefined
}
