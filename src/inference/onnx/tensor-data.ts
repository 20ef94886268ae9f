import { UnreadableModel } from '../unreadable-model.ts'
import type { Message } from './protobuf.ts'
import { quoted } from './quoted.ts'

/** How many bits a value takes as raw data, by TensorProto.DataType; eight where nothing is said. */
const BITS: Readonly<Record<number, number>> = {
  1: 32,
  4: 16,
  5: 16,
  6: 32,
  7: 64,
  10: 16,
  11: 64,
  12: 32,
  13: 64,
  14: 64,
  15: 128,
  16: 16,
  21: 4,
  22: 4,
  23: 4,
  25: 2,
  26: 2,
}

/** How many bytes a value takes at least in the lists of floats, of integers and of doubles. */
const LEAST_BYTES: Readonly<Record<number, number>> = { 4: 4, 5: 1, 7: 1, 10: 8, 11: 1 }

/** More than any operator knows what to do with. */
const DIMENSIONS_MAX = 64

/**
 * Refuses a tensor whose data lie in another file, where a path may lead anywhere, and one that
 * declares more values than it has, for which a runtime makes room before it looks.
 *
 * @param tensor a TensorProto.
 * @throws {UnreadableModel}
 */
export function requireData(tensor: Message): void {
  let name = ''
  let bits = 8
  const sizes: number[] = []
  let isElsewhere = false
  let rawBytes = 0
  let listed = 0
  let texts = 0
  while (tensor.next()) {
    const { field, value, from, to } = tensor
    if (field === 1)
      sizes.push(
        ...tensor
          .int64s()
          .take(DIMENSIONS_MAX + 1)
          .map(Number),
      )
    if (sizes.length > DIMENSIONS_MAX) break
    // A runtime cuts what is more than 32 bits.
    if (field === 2) bits = BITS[value % 2 ** 32] ?? 8
    if (tensor.holds(6)) texts += 1
    if (tensor.holds(8)) name = tensor.text()
    if (tensor.holds(9)) rawBytes = to - from
    if (field === 13 || (field === 14 && value !== 0)) isElsewhere = true
    listed += (to - from) / (LEAST_BYTES[field] ?? Number.POSITIVE_INFINITY)
  }

  if (isElsewhere) {
    throw new UnreadableModel(
      `The tensor ${quoted(name)} lies in another file. Save the model as one: onnx.save(model, path).`,
    )
  }
  if (sizes.length > DIMENSIONS_MAX) {
    throw new UnreadableModel(`A tensor has more than ${DIMENSIONS_MAX} dimensions.`)
  }
  // Numbers of less than a byte are packed in a list as they are in raw data.
  const most = (rawBytes * 8) / bits + listed * Math.max(1, 8 / bits) + texts
  if (sizes.every((size) => size > 0) && product(sizes) <= most) return
  if (sizes.every((size) => size >= 0) && sizes.includes(0)) return
  const declared = sizes.length === 0 ? 'a value' : `${sizes.join(' × ')} values`
  throw new UnreadableModel(
    `The tensor ${quoted(name)} is to have ${declared}, and the file has not as many.`,
  )
}

const product = (sizes: readonly number[]) => sizes.reduce((product, size) => product * size, 1)
