import { z } from 'zod'

import type { Problem } from '../../gateway/problem.ts'
import { DATATYPE_BYTES } from './tensor.ts'

const datatype = z.enum(Object.keys(DATATYPE_BYTES) as [string, ...string[]])
/** A tensor without its values. */
export const tensor = z.object({ name: z.string(), datatype, shape: z.array(z.int()) })

export const aModel = z.object({ name: z.string() })
const aVersion = z.object({ name: z.string(), version: z.string() })

/** What the protocol has of a model, it has of a version of one too. */
export const modelAndVersion = [
  { path: '/v2/models/{name}', pathParameters: aModel as typeof aVersion, of: 'a model' },
  {
    path: '/v2/models/{name}/versions/{version}',
    pathParameters: aVersion,
    of: 'a version of a model',
  },
] as const

/** The protocol has one form for all that went wrong, and 400 for whatever of a request does not fit. */
function refusal({ kind, options }: Problem) {
  const { errors } = (options.members ?? {}) as {
    errors?: { pointer?: string; detail: string }[]
  }
  const faults = errors?.map(({ pointer, detail }) =>
    pointer === undefined || pointer === '#' ? detail : `${pointer}: ${detail}`,
  )
  const error = faults?.join(' ') ?? options.detail ?? `${kind.title}. ${kind.advice}`
  return { status: kind.status === 422 ? 400 : kind.status, body: { error } }
}

/** What all routes of the protocol share. */
export const common = { tag: 'inference', refusal, refusesStrays: true } as const
export const reading = { ...common, method: 'get', access: 'models:read' } as const
