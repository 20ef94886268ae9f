import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { join } from 'node:path'

import { type Harness, openHarness } from './support/harness.ts'

interface Operation {
  summary?: string
  tags?: string[]
  operationId?: string
  security?: unknown[]
  requestBody?: { content: Record<string, { example?: unknown }> }
  responses: Record<
    string,
    { description?: string; content?: Record<string, { example?: unknown }> }
  >
}

let harness: Harness
let document: { openapi: string; paths: Record<string, Record<string, Operation>> }
beforeAll(async () => {
  harness = await openHarness()
  document = (await (await harness.request({ path: '/openapi.json' })).json()) as typeof document
})
afterAll(() => harness.close())

const operations = () =>
  Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({
      name: `${method} ${path}`,
      operation,
    })),
  )

test('the committed document is the served one (`bun scripts/openapi.ts` writes it)', async () => {
  const committed: unknown = await Bun.file(join(import.meta.dir, '..', 'openapi.json')).json()
  expect(committed).toEqual(document)
})

test('it describes every route, and no other', () => {
  const mounted = harness.app.routes
    .filter(({ isPage }) => !isPage)
    .map(({ method, path }) => `${method} ${path.replace('{+', '{')}`)
  expect(
    operations()
      .map(({ name }) => name)
      .toSorted(),
  ).toEqual(mounted.toSorted())
})

describe('every route', () => {
  test('has a summary, a tag and an id of its own', () => {
    for (const { name, operation } of operations()) {
      expect({ name, ...operation }).toMatchObject({
        name,
        summary: expect.stringMatching(/./),
        tags: [expect.stringMatching(/./)],
        operationId: expect.stringMatching(/^[a-z]+[A-Za-z]*$/),
      })
    }
    const ids = operations().map(({ operation }) => operation.operationId)
    expect(new Set(ids).size).toBe(ids.length)
  })

  test('has an example of what it takes and of what it answers', () => {
    for (const { name, operation } of operations()) {
      const success = Object.entries(operation.responses).filter(([status]) =>
        status.startsWith('2'),
      )
      expect({ name, isAnswered: success.length > 0 }).toEqual({ name, isAnswered: true })
      for (const [status, { content }] of success) {
        // What is said by headers alone has no body.
        if (status === '204' || name === 'get /api/v1/auth/forward') continue
        const examples = Object.values(content ?? {}).map(({ example }) => example)
        expect({ name, examples }).toEqual({ name, examples: [expect.anything()] })
      }
      for (const { example } of Object.values(operation.requestBody?.content ?? {})) {
        expect({ name, example }).toEqual({ name, example: expect.anything() })
      }
    }
  })

  test('has examples that its own schemas take', () => {
    for (const { method, path, body, answers } of harness.app.routes) {
      const documented = [body === 'stream' ? undefined : body, ...Object.values(answers)].filter(
        (each) => each !== undefined,
      )
      for (const { schema, example } of documented) {
        const faults = schema?.safeParse(example).error?.issues ?? []
        expect({ route: `${method} ${path}`, faults }).toEqual({
          route: `${method} ${path}`,
          faults: [],
        })
      }
    }
  })

  test('shows of a refusal of the input which faults it names', () => {
    for (const { name, operation } of operations()) {
      const refusal = operation.responses['422']?.content?.['application/problem+json']
      if (refusal === undefined) continue
      expect({ name, ...(refusal.example as object) }).toMatchObject({
        name,
        detail: expect.stringContaining('#/'),
        errors: [{ pointer: expect.stringMatching(/^#\//), detail: expect.any(String) }],
      })
    }
  })

  test('has problem responses, with those that follow from what it asks', () => {
    for (const { name, operation } of operations()) {
      // They refuse in the way of RFC 6749.
      if (name.startsWith('post /oauth/')) {
        for (const status of ['400', '401', '413', '429', '500', '503']) {
          const types = Object.keys(operation.responses[status]?.content ?? {})
          expect({ name, status, types }).toEqual({ name, status, types: ['application/json'] })
        }
        continue
      }
      const expected = ['500', '504']
      if (operation.security?.length !== 0) expected.push('401', '403')
      if (operation.requestBody !== undefined) expected.push('400', '413', '415', '422')
      for (const status of expected) {
        const types = Object.keys(operation.responses[status]?.content ?? {})
        expect({ name, status, types }).toEqual({
          name,
          status,
          types: ['application/problem+json'],
        })
      }
    }
  })
})

test('an example is a request that the server takes', async () => {
  const { requestBody } = document.paths['/api/v1/predict']!['post']!
  const real = await openHarness({ MODELS_DIR: join(import.meta.dir, '..', 'models') })
  const body = Object.values(requestBody!.content)[0]!.example
  expect(
    (await real.request({ path: '/api/v1/predict', body, token: real.adminToken })).status,
  ).toBe(200)
  await real.close()
})
