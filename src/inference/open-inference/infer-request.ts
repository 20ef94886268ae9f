import { z } from 'zod'

import { readBinaryData } from './binary-data.ts'
import { readJsonData } from './json-data.ts'
import { BadTensor, DATATYPE_BYTES, type Datatype, type Tensor } from './tensor.ts'

const parameters = z.record(z.string(), z.union([z.string(), z.number(), z.boolean()]))
const datatype = z.enum(Object.keys(DATATYPE_BYTES) as [Datatype, ...Datatype[]])

const input = z.strictObject({
  name: z.string(),
  shape: z.array(z.int().min(0)),
  datatype,
  parameters: parameters.optional(),
  data: z.unknown().optional(),
})
const output = z.strictObject({ name: z.string(), parameters: parameters.optional() })
/** The JSON of a request. */
export const inferRequestSchema = z.strictObject({
  id: z.string().optional(),
  parameters: parameters.optional(),
  inputs: z.array(input),
  outputs: z.array(output).optional(),
})

/** An output that is asked for, and in which form. */
export interface WantedOutput {
  name: string
  isBinary: boolean
  /** The classification extension: so many classes, the best first. */
  classification: number | undefined
}

export interface InferRequest {
  id: string | undefined
  inputs: Tensor[]
  /** All of them where none are named. */
  outputs: WantedOutput[] | undefined
  /** Of those that say nothing themselves. */
  isBinary: boolean
  /** The schedule policy extension. */
  isUrgent: boolean
  timeoutMs: number | undefined
}

const utf8 = new TextDecoder('utf-8', { fatal: true })

/**
 * Reads an inference request: JSON, and behind it the bytes of those tensors that say how many they have.
 *
 * @param jsonLength the header `Inference-Header-Content-Length`, where it is there.
 * @throws {BadTensor} with what is wrong.
 */
export function readInferRequest(body: Uint8Array, jsonLength: string | null): InferRequest {
  const length = jsonLength === null ? body.byteLength : Number(jsonLength)
  if (!Number.isInteger(length) || length < 0 || length > body.byteLength) {
    throw new BadTensor(
      `Inference-Header-Content-Length is "${jsonLength}", of ${body.byteLength} bytes.`,
    )
  }
  const request = parse(body.subarray(0, length))
  let at = length
  const inputs = request.inputs.map(({ name, datatype: type, shape, data, parameters: more }) => {
    const size = more?.['binary_data_size']
    if (size === undefined) return readJsonData(name, type, shape, data)
    if (data !== undefined) throw new BadTensor(`"${name}" has both data and binary_data_size.`)
    const isSize = typeof size === 'number' && Number.isInteger(size) && size >= 0
    if (!isSize || size > body.byteLength - at) {
      throw new BadTensor(
        `"${name}" is said to have ${String(size)} bytes; ${body.byteLength - at} are left.`,
      )
    }
    at += size
    return readBinaryData(name, type, shape, body.subarray(at - size, at))
  })
  if (at !== body.byteLength)
    throw new BadTensor(`${body.byteLength - at} bytes belong to no tensor.`)

  const isBinary = request.parameters?.['binary_data_output'] === true
  return {
    id: request.id,
    inputs,
    outputs: request.outputs?.map(({ name, parameters: more }) => ({
      name,
      isBinary: more?.['binary_data'] === undefined ? isBinary : more['binary_data'] === true,
      classification: countIn(more, 'classification'),
    })),
    isBinary,
    isUrgent: countIn(request.parameters, 'priority') === 1,
    timeoutMs: timeoutIn(request.parameters),
  }
}

function parse(bytes: Uint8Array): z.output<typeof inferRequestSchema> {
  let value: unknown
  try {
    value = JSON.parse(utf8.decode(bytes))
  } catch {
    throw new BadTensor('The request is not valid JSON.')
  }
  const parsed = inferRequestSchema.safeParse(value)
  if (parsed.success) return parsed.data
  const [issue] = parsed.error.issues
  throw new BadTensor(`${issue?.path.join('.') || 'The request'}: ${issue?.message ?? ''}`)
}

type Parameters = z.output<typeof parameters> | undefined

function countIn(given: Parameters, name: string): number | undefined {
  const value = given?.[name]
  if (value === undefined) return undefined
  if (typeof value === 'number' && Number.isInteger(value) && value >= 0) return value
  throw new BadTensor(`The parameter "${name}" is no whole number.`)
}

const MICROSECONDS_PER_MS = 1000

/** 0 is none, as it is for Triton. */
function timeoutIn(given: Parameters): number | undefined {
  const microseconds = countIn(given, 'timeout') ?? 0
  return microseconds === 0 ? undefined : microseconds / MICROSECONDS_PER_MS
}
