import { expect, test } from 'bun:test'

import type { Events } from '../../src/events.ts'
import type { EventOf } from '../../src/platform/bus/bus.ts'
import type { Harness, TestRequest } from './harness.ts'

/** One row: a request, and all that must hold of its answer. */
export interface Row extends Omit<TestRequest, 'token'> {
  name: string
  /** Whose token is sent: an account's of the table, `admin`, or this very string. */
  as?: string
  status: number
  /** Members that the JSON answer has at least. */
  has?: Record<string, unknown>
  /** Text that the answer contains. */
  contains?: string[]
  /** Text that must not appear in the answer, headers included. */
  mustNotContain?: string[]
  /** Headers that the answer has; a pattern where the value varies, null where there is none. */
  answerHeaders?: Record<string, string | RegExp | null>
  /** Whether a refusal is a page for people, and not a problem document. */
  isPage?: true
  /** Whether a refusal has no body, since a proxy asks. */
  isEmpty?: true
  /** The code of RFC 6749 by which it is refused, where that is no problem document. */
  oauthError?: string
  /** Part of the sentence by which it is refused, where the Open Inference Protocol has its form. */
  ownError?: string | RegExp
  /** Types of the events published by it; none unless said. */
  events?: string[]
}

/** Whatever a caller must never see: paths, stack frames, hashes, the names of our libraries. */
const NEVER = ['node_modules', '/src/', '.ts:', '$argon2', 'ZodError', 'drizzle', 'SQLITE']

/** Runs each row against the harness, one after the other. */
export function testRequests(
  harness: () => Harness,
  rows: Row[],
  tokens: () => Record<string, string> = () => ({}),
): void {
  test.each(rows.map((row) => [row.name, row] as const))('%s', async (_, row) => {
    const { request, events, adminToken, published } = harness()
    const known: Record<string, string> = { admin: adminToken, ...tokens() }
    await published()
    const eventsBefore = events.length
    const { as } = row
    const response = await request({
      ...row,
      token: as === undefined ? undefined : (known[as] ?? as),
    })
    const text = await response.text()

    expect({ status: response.status, text }).toEqual({
      status: row.status,
      text: expect.any(String),
    })
    if (row.has !== undefined) expect(JSON.parse(text)).toMatchObject(row.has)
    for (const part of row.contains ?? []) expect(text).toContain(part)
    const everything = `${text}\n${JSON.stringify([...response.headers])}`
    for (const part of [...NEVER, ...(row.mustNotContain ?? [])]) {
      expect(everything).not.toContain(part)
    }
    for (const [name, value] of Object.entries(row.answerHeaders ?? {})) {
      const given = response.headers.get(name)
      if (value instanceof RegExp) expect(given).toMatch(value)
      else expect(given).toBe(value)
    }
    await published()
    const caused = events.slice(eventsBefore).filter((event) => !isBeside(event))
    expect(caused.map(({ type }) => type as string)).toEqual(row.events ?? [])

    if (response.status < 400) return
    if (row.isEmpty) expect([text, response.headers.get('content-type')]).toEqual(['', null])
    else if (row.isPage) expectPage(response, text)
    else if (row.oauthError !== undefined) expectOAuthError(response, text, row.oauthError)
    else if (row.ownError !== undefined) expectOwnError(response, text, row.ownError)
    else expectProblem(response, text)
  })
}

/** The server's own jobs; and who was refused, which is told later, and once a minute for each endpoint. */
const isBeside = (event: EventOf<Events>) =>
  event.type === 'auth.access_refused' ||
  (event.type === 'jobs.updated' && event.data.owner_id === null)

/** RFC 6749, section 5.2. */
export function expectOAuthError(response: Response, text: string, code: string): void {
  expect(response.headers.get('content-type')).toBe('application/json')
  expect(response.headers.get('cache-control')).toBe('no-store')
  const { error, ...rest } = JSON.parse(text) as Record<string, unknown>
  expect(error).toBe(code)
  expect(rest).toEqual({
    error_description: expect.stringMatching(/^[\x20\x21\x23-\x5b\x5d-\x7e]+$/),
  })
}

function expectOwnError(response: Response, text: string, said: string | RegExp): void {
  expect(response.headers.get('content-type')).toBe('application/json')
  const { error, ...rest } = JSON.parse(text) as { error: string }
  expect(rest).toEqual({})
  if (typeof said === 'string') expect(error).toContain(said)
  else expect(error).toMatch(said)
}

/** A page says what is wrong where it is heard first. */
function expectPage(response: Response, text: string): void {
  expect(response.headers.get('content-type')).toBe('text/html; charset=utf-8')
  expect(text).toContain('<title>Error: ')
  expect(text).toContain('role="alert"')
}

/** Every refusal is a problem document by RFC 9457, with the member that old clients read. */
function expectProblem(response: Response, text: string): void {
  expect(response.headers.get('content-type')).toBe('application/problem+json')
  const document: unknown = JSON.parse(text)
  expect(document).toMatchObject({
    type: expect.stringMatching(/^\/docs\/problems#[a-z]+\/[a-z-]+$/),
    title: expect.any(String),
    status: response.status,
    instance: response.headers.get('x-request-id'),
    error: expect.any(String),
  })
}
