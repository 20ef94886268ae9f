import { z } from '@hono/zod-openapi'

import { fileAnswer } from '../gateway/file-answer.ts'
import { problems } from '../gateway/problems.ts'
import { type RequestContext, type Route, route } from '../gateway/route.ts'
import type { Storage } from '../platform/storage/storage.ts'
import { TooLarge } from '../platform/storage/storage.ts'
import { filesProblems } from './problems.ts'

const PATH = '/api/v1/files/'

const wholeNumber = z.string().regex(/^(?:0|[1-9]\d{0,15})$/, 'expected a whole number')
const pathParameters = z.object({
  key: z.string().openapi({ example: 'reports/2026/may.pdf', description: 'May hold slashes' }),
})
const signature = {
  expires: wholeNumber.transform(Number).openapi({
    type: 'integer',
    minimum: 0,
    example: 1_767_323_045,
    description: 'Seconds since 1970',
  }),
  signature: z
    .string()
    .max(100)
    .openapi({ example: 'vX1q0Sx1bC3m9a5uT2eH8r4kZ7wYdJ6fNqLpGoRiE0s' }),
}
const downloadQuery = z.strictObject(signature)
const uploadQuery = z.strictObject({
  ...signature,
  bytes_max: wholeNumber.transform(Number).openapi({
    type: 'integer',
    minimum: 0,
    example: 1_048_576,
    description: 'The most bytes it may have',
  }),
})
const stored = z.object({ key: z.string(), bytes: z.int(), etag: z.string() })

/** Files by signed addresses. Where files are kept in object storage, its own addresses are handed out instead. */
export function fileRoutes(deps: {
  storage: Storage
  uploadBytesMax: number
  uploadTimeoutMs: number
}): Route[] {
  const { storage, uploadBytesMax, uploadTimeoutMs } = deps

  /** @throws {Problem} 403 unless these very words were signed, and still count. */
  function requireSignature(
    claim: Parameters<Storage['judge']>[0],
    { request }: RequestContext,
  ): void {
    // An address that is spelt otherwise, such as with %2F, is another one: proxies may read it otherwise.
    const isSpeltAsSigned = new URL(request.url).pathname === PATH + claim.key
    const verdict = isSpeltAsSigned ? storage.judge(claim) : 'forged'
    if (verdict === 'forged') {
      throw filesProblems.badSignature({ detail: 'The address was not signed for this request.' })
    }
    if (verdict === 'expired') {
      throw filesProblems.addressExpired({
        detail: 'Ask for a new address where you got this one.',
      })
    }
  }

  return [
    route(
      {
        method: 'get',
        path: `${PATH}{+key}`,
        access: 'open',
        tag: 'files',
        summary: 'Read a file by a signed address',
        description:
          'HEAD, one range (`Range`, `If-Range`) and `If-None-Match` are answered by RFC 9110.',
        pathParameters,
        query: downloadQuery,
        answers: {
          200: {
            description: 'The file',
            mediaType: 'application/octet-stream',
            example: 'the bytes of the file',
          },
          206: {
            description: 'The range of it',
            mediaType: 'application/octet-stream',
            example: 'some of them',
          },
          304: { description: 'It is what If-None-Match names' },
        },
        problems: [
          filesProblems.badSignature,
          filesProblems.addressExpired,
          problems.notFound,
          problems.rangeNotSatisfiable,
          problems.unavailable,
        ],
      },
      async ({ path: { key }, query }, context) => {
        requireSignature({ method: 'GET', key, ...query }, context)
        const opened = await storage.open(key, { signal: context.signal })
        if (opened === undefined) throw problems.notFound({ detail: 'There is no such file.' })
        return fileAnswer(opened, context, { mediaType: 'application/octet-stream' })
      },
    ),

    route(
      {
        method: 'put',
        path: `${PATH}{+key}`,
        access: 'open',
        bodyBytesMax: uploadBytesMax,
        timeoutMs: uploadTimeoutMs,
        tag: 'files',
        summary: 'Store a file by a signed address',
        description: 'The file is there whole when this answers, and as it was before until then.',
        pathParameters,
        query: uploadQuery,
        body: 'stream',
        answers: {
          201: {
            description: 'It is stored',
            schema: stored,
            example: { key: 'reports/2026/may.pdf', bytes: 48_213, etag: '"5f2b…"' },
          },
        },
        problems: [filesProblems.badSignature, filesProblems.addressExpired, problems.unavailable],
      },
      async ({ path: { key }, query, body }, context) => {
        const { bytes_max: signedMax, ...rest } = query
        requireSignature({ method: 'PUT', key, bytesMax: signedMax, ...rest }, context)
        const bytesMax = Math.min(signedMax, uploadBytesMax)
        const tooLarge = () =>
          problems.bodyTooLarge({ detail: `The file may have at most ${bytesMax} bytes.` })
        if (Number(context.request.headers.get('content-length')) > bytesMax) throw tooLarge()
        try {
          const { signal } = context
          const file = await storage.put(key, body, { bytesMax, signal })
          const answer = { key, bytes: file.bytes, etag: file.etag }
          return { status: 201, body: answer, headers: { etag: file.etag } }
        } catch (error) {
          throw error instanceof TooLarge ? tooLarge() : error
        }
      },
    ),
  ]
}
