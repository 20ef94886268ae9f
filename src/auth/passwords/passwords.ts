import { availableParallelism } from 'node:os'

import { invalid } from '../../gateway/problems.ts'
import { authProblems } from '../problems.ts'
import { candidates, PARAMETERS } from './password-hashes.ts'
import { hashable, likenessFault } from './password-rules.ts'

const RETRY_AFTER_SECONDS = '2'

/** Hashes and verifies passwords, as many at a time as there are cores. */
export interface Passwords {
  hash(password: string): Promise<string>
  /**
   * Hashes a password that an account with these names is to have.
   *
   * @throws {Problem} 422 where it is little more than one of them, or than another word that is
   * obvious here; 503 as `verify` does.
   */
  hashNew(password: string, names: Names): Promise<string>
  /**
   * Takes as long for a user that does not exist (`undefined`) as for a wrong password.
   *
   * @throws {Problem} 503 with `Retry-After` when too many are waiting.
   */
  verify(password: string, hash: string | undefined): Promise<boolean>
}

/** Under which an account logs in. */
interface Names {
  username: string
  email?: string | null | undefined
}

export function createPasswords(deps: {
  /** Checks that may wait. */
  queueMax: number
  /** What is obvious to whoever guesses, by the operator. */
  words?: readonly string[]
}): Passwords {
  const { queueMax, words = [] } = deps
  const slots = createSemaphore(availableParallelism(), queueMax)
  /** Made once, outside the queue: a refusal must not be what is remembered. */
  let decoyHash: Promise<string> | undefined
  const hash = (password: string) =>
    slots.run(() => Bun.password.hash(hashable(password), PARAMETERS))

  return {
    hash,
    async hashNew(password, { username, email }) {
      const fault = likenessFault(password, [...words, username, ...(email?.split('@') ?? [])])
      if (fault !== undefined) throw invalid([{ path: ['password'], detail: fault }])
      return hash(password)
    },
    async verify(password, known) {
      const decoy = await (decoyHash ??= Bun.password.hash(crypto.randomUUID(), PARAMETERS))
      // Bun answers an empty hash at once, which would tell that the account exists.
      const hash = known === '' ? undefined : known
      const matches = async (given: string | Uint8Array): Promise<boolean> => {
        try {
          return await Bun.password.verify(given, hash ?? decoy)
        } catch {
          // An imported hash of a form that Bun does not know matches nothing, and takes its time.
          await Bun.password.verify(hashable(password), decoy)
          return false
        }
      }
      return slots.run(async () => {
        for (const given of candidates(password, hash ?? decoy)) {
          if (await matches(given)) return hash !== undefined
        }
        return false
      })
    },
  }
}

/** Lets `running` through at a time and `waitingMax` wait; refuses the rest. */
function createSemaphore(free: number, waitingMax: number) {
  const waiting: (() => void)[] = []
  return {
    async run<T>(work: () => Promise<T>): Promise<T> {
      if (free > 0) free -= 1
      else if (waiting.length >= waitingMax) {
        throw authProblems.busy({ headers: { 'retry-after': RETRY_AFTER_SECONDS } })
      } else await new Promise<void>((resolve) => waiting.push(resolve))
      try {
        return await work()
      } finally {
        const next = waiting.shift()
        if (next === undefined) free += 1
        else next()
      }
    },
  }
}
