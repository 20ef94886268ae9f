import { isIdentity, type Principal } from '../../gateway/principal.ts'

/** A version by its number, or whichever is the newest. */
type VersionChoice = number | 'latest'

/** Which versions of a model answer, and which one is asked beside them. */
export interface Traffic {
  /** Each answers its share of the sum of weights. */
  split: { version: VersionChoice; weight: number }[]
  /** Asked for the same rows, and never heard. */
  shadow: number | null
}

export const LATEST: Traffic = { split: [{ version: 'latest', weight: 1 }], shadow: null }

/** The numbers of all versions that traffic leads to. */
export function versionsOf({ split, shadow }: Traffic, latest: number | undefined): number[] {
  const answering = split.flatMap(({ version }) =>
    version === 'latest' ? (latest ?? []) : version,
  )
  return [...new Set(shadow === null ? answering : [...answering, shadow])]
}

const SHARE_BITS = 32

/**
 * Where between 0 and 1 somebody stands among the versions of a model: always at the same place, on every
 * instance and whatever the weights are, so that who has been given a version keeps it while its share
 * grows. Who has not said who they are stands anywhere.
 */
export function placeOf(principal: Principal, model: string): number {
  if (!isIdentity(principal)) return Math.random()
  const hash = Bun.hash.xxHash64(`${model}\n${principal.id}`)
  return Number(BigInt.asUintN(SHARE_BITS, hash)) / 2 ** SHARE_BITS
}
