/** What a model's sums mean: the function from sums to what it answers, as the library applies it. */
export type Link =
  | { kind: 'identity' }
  /** A probability a sum. Of a single one: that of the second of two classes. */
  | { kind: 'sigmoid'; slope: number; isClassification: boolean }
  | { kind: 'softmax' }
  | { kind: 'exp' }
  /** log(1 + exp(x)) */
  | { kind: 'softplus' }
  /** The square with its sign. */
  | { kind: 'signed-square' }
  /** 1 above zero, else 0. */
  | { kind: 'step' }

/**
 * Turns sums into answers, in place.
 *
 * @param groups sums a row.
 */
export function applyLink(link: Link, groups: number, sums: Float64Array): void {
  if (link.kind === 'identity') return
  if (link.kind === 'softmax') {
    for (let at = 0; at < sums.length; at += groups) softmax(sums, at, groups)
    return
  }
  const f = scalarOf(link)
  for (let at = 0; at < sums.length; at++) sums[at] = f(sums[at]!)
}

function scalarOf(link: Exclude<Link, { kind: 'identity' | 'softmax' }>): (x: number) => number {
  switch (link.kind) {
    case 'sigmoid':
      return (x) => 1 / (1 + Math.exp(-link.slope * x))
    case 'exp':
      return Math.exp
    case 'softplus':
      return (x) => Math.log1p(Math.exp(x))
    case 'signed-square':
      return (x) => Math.sign(x) * x * x
    case 'step':
      return (x) => (x > 0 ? 1 : 0)
  }
}

function softmax(values: Float64Array, at: number, count: number): void {
  let most = Number.NEGATIVE_INFINITY
  for (let index = 0; index < count; index++) most = Math.max(most, values[at + index]!)
  let total = 0
  for (let index = 0; index < count; index++) {
    const weight = Math.exp(values[at + index]! - most)
    values[at + index] = weight
    total += weight
  }
  for (let index = 0; index < count; index++) values[at + index]! /= total
}

/** Whether answers are probabilities of classes. */
export const isClassification = (link: Link) =>
  link.kind === 'softmax' ||
  link.kind === 'step' ||
  (link.kind === 'sigmoid' && link.isClassification)
