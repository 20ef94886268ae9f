import type { Log } from '../../platform/log.ts'
import type { Matrix } from '../features.ts'
import { type Manifest, outputWidth } from '../manifest.ts'
import type { ServedModel } from './served-model.ts'

/** Asks a shadow version for the same rows, and measures how far it is from what was answered. */
export type AskShadow = (model: ServedModel, matrix: Matrix, answered: Float64Array) => void

/** Of numbers, as a share: what rounding alone makes differ is the same. */
const SAME_WITHIN = 1e-6

/** Nobody waits for a shadow. */
const NEVER = () => false

/** Its rows wait behind all others; where too many do, they are left out. */
export function createShadows({ log }: { log: Log }): AskShadow {
  async function ask(
    { manifest }: ServedModel,
    shadow: ServedModel,
    { rows, values }: Matrix,
    answered: Float64Array,
  ): Promise<void> {
    const { metrics } = shadow
    if (!isComparable(manifest, shadow.manifest)) return metrics.shadowed('incomparable', rows)
    shadow.borrow()
    try {
      const said = await shadow.runInBackground(rows, values, NEVER)
      const width = answered.length / rows
      const isProbability = manifest.kind === 'classification'
      for (let at = 0; at < answered.length; at += width) {
        const difference = differenceOf([answered, said], at, width, isProbability)
        metrics.shadowDifference(difference)
        metrics.shadowed(difference <= SAME_WITHIN ? 'same' : 'different', 1)
      }
    } catch (error) {
      log.debug({ error, model: manifest.name }, 'a shadow did not answer')
      metrics.shadowed('failed', rows)
    } finally {
      shadow.giveBack()
    }
  }

  return (model, matrix, answered) => {
    const { shadow } = model
    if (shadow !== undefined && shadow !== model) void ask(model, shadow, matrix, answered)
  }
}

/** Whether the same rows mean the same to both, and so do their answers. */
const isComparable = (one: Manifest, other: Manifest) =>
  one.kind === other.kind &&
  Bun.deepEquals(one.inputs.map(meaning), other.inputs.map(meaning)) &&
  (one.kind !== 'classification' ||
    (other.kind === 'classification' && Bun.deepEquals(one.classes, other.classes))) &&
  outputWidth(one) === outputWidth(other)

const meaning = ({ description: _, ...input }: Manifest['inputs'][number]) => input

/** The largest of a row: of probabilities as it is, of numbers as a share of the larger one. */
function differenceOf(
  [one, other]: readonly [Float64Array, Float64Array],
  at: number,
  width: number,
  isProbability: boolean,
): number {
  let most = 0
  for (let index = at; index < at + width; index += 1) {
    const answered = one[index]!
    const said = other[index]!
    const difference = Math.abs(answered - said)
    const share = difference / Math.max(Math.abs(answered), Math.abs(said))
    const off = isProbability || difference === 0 ? difference : share
    most = Number.isNaN(off) ? Number.POSITIVE_INFINITY : Math.max(most, off)
  }
  return most
}
