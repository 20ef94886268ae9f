import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto'
import {
  chmodSync,
  closeSync,
  existsSync,
  fsyncSync,
  linkSync,
  openSync,
  readFileSync,
  unlinkSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'

import type { Clock } from '../clock.ts'
import { StartError } from '../start-error.ts'

/** What a signature vouches for, with the signature. */
export interface SignedRequest extends Claim {
  signature: string
}

interface Claim {
  method: 'GET' | 'PUT'
  key: string
  /** Seconds since 1970 up to which it counts. */
  expires: number
  /** Of an upload: the most bytes it may have. */
  bytesMax?: number | undefined
}

export type Verdict = 'valid' | 'expired' | 'forged'

export interface Signatures {
  sign(claim: Claim): string
  judge(request: SignedRequest): Verdict
}

const KEY_BYTES = 32

/**
 * Signs by HMAC-SHA256 with a key that the first start makes, in a file that nobody else may read.
 *
 * @throws {StartError} when the key file is damaged.
 */
export function openSignatures(directory: string, clock: Clock): Signatures {
  const secret = readKey(join(directory, 'files.key'))

  // No claim can be read as another one: neither a key nor a number holds a line break.
  const digest = ({ method, key, expires, bytesMax }: Claim) =>
    createHmac('sha256', secret)
      .update(`quintet-files-1\n${method}\n${key}\n${expires}\n${bytesMax ?? ''}`)
      .digest()

  return {
    sign: (claim) => digest(claim).toString('base64url'),
    judge(request) {
      const given = Buffer.from(request.signature, 'base64url')
      const expected = digest(request)
      const isSigned = given.length === expected.length && timingSafeEqual(given, expected)
      if (!isSigned) return 'forged'
      return clock.now() < request.expires * 1000 ? 'valid' : 'expired'
    },
  }
}

function readKey(path: string): Buffer {
  if (!existsSync(path)) makeKey(path)
  chmodSync(path, 0o600)
  const key = readFileSync(path)
  if (key.length === KEY_BYTES) return key
  throw new StartError(
    `${path} is damaged: it has ${key.length} bytes instead of ${KEY_BYTES}. ` +
      'Remove it to get a new one; addresses of files that were signed before then end.',
  )
}

/** Appears whole, and once: of two processes that start at the same moment both use the first one’s. */
function makeKey(path: string): void {
  const draft = `${path}.${Bun.randomUUIDv7()}`
  const descriptor = openSync(draft, 'wx', 0o600)
  try {
    writeSync(descriptor, randomBytes(KEY_BYTES))
    fsyncSync(descriptor)
    linkSync(draft, path)
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error
  } finally {
    closeSync(descriptor)
    unlinkSync(draft)
  }
}
