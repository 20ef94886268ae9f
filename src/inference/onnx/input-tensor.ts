import { Tensor } from 'onnxruntime-node'

import type { Column, InputColumns } from './input-columns.ts'

/**
 * What goes into one input of a model.
 *
 * @param values row by row, `width` a row; NaN is missing.
 * @throws {Error} for a value that the type of the input has no place for, such as none at all.
 */
export function inputTensor(
  { type, rank, offset, columns }: InputColumns,
  rows: number,
  values: Float64Array,
  width: number,
): Tensor {
  const own = columns.length
  const shape = rank === 1 ? [rows] : [rows, own]
  const size = rows * own

  function each(visit: (at: number, value: number, column: Column) => void): void {
    for (let row = 0; row < rows; row++) {
      for (let index = 0; index < own; index++) {
        visit(row * own + index, values[row * width + offset + index]!, columns[index]!)
      }
    }
  }

  switch (type) {
    case 'float64': {
      if (own === width) return new Tensor(type, values, shape)
      const data = new Float64Array(size)
      each((at, value) => (data[at] = value))
      return new Tensor(type, data, shape)
    }
    case 'float32': {
      if (own === width) return new Tensor(type, new Float32Array(values), shape)
      const data = new Float32Array(size)
      each((at, value) => (data[at] = value))
      return new Tensor(type, data, shape)
    }
    case 'int32': {
      const data = new Int32Array(size)
      each((at, value, column) => (data[at] = wholeNumber(value, column, isInt32)))
      return new Tensor(type, data, shape)
    }
    case 'int64': {
      const data = new BigInt64Array(size)
      const { isSafeInteger } = Number
      each((at, value, column) => (data[at] = BigInt(wholeNumber(value, column, isSafeInteger))))
      return new Tensor(type, data, shape)
    }
    case 'bool': {
      const data = new Uint8Array(size)
      each((at, value, column) => (data[at] = truth(value, column)))
      return new Tensor(type, data, shape)
    }
    case 'string': {
      const data = Array<string>(size)
      each((at, value, { texts }) => (data[at] = texts?.get(value) ?? ''))
      return new Tensor(type, data, shape)
    }
  }
}

const isInt32 = (value: number) => (value | 0) === value

function wholeNumber(value: number, column: Column, fits: (value: number) => boolean): number {
  return fits(value) ? value : refuse(value, column, 'whole numbers')
}

function truth(value: number, column: Column): number {
  return value === 0 || value === 1 ? value : refuse(value, column, '0 and 1')
}

function refuse(value: number, { name }: Column, taken: string): never {
  const given = Number.isNaN(value) ? 'missing' : String(value)
  throw new Error(`${name} is ${given}, where the model takes only ${taken}`)
}
