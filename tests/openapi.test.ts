import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { join } from 'node:path'

import { isScope, scopes } from '../src/gateway/scopes.ts'
import { type Harness, openHarness } from './support/harness.ts'

interface Operation {
  summary?: string
  parameters?: { name: string; schema: object }[]
  description?: string
  tags?: string[]
  operationId?: string
  security?: Record<string, string[]>[]
  requestBody?: { content: Record<string, { example?: unknown }> }
  responses: Record<
    string,
    {
      description?: string
      headers?: Record<string, unknown>
      content?: Record<string, { example?: unknown }>
    }
  >
}

let harness: Harness
let document: {
  openapi: string
  paths: Record<string, Record<string, Operation>>
  components: { securitySchemes: Record<string, { type: string; name?: string }> }
}
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
        expect({ name, isAnswered: examples.length > 0 }).toEqual({ name, isAnswered: true })
        expect({ name, examples }).toEqual({
          name,
          examples: examples.map(() => expect.anything()),
        })
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
        for (const status of ['400', '401', '413', '429', '500', '503', '504']) {
          const types = Object.keys(operation.responses[status]?.content ?? {})
          expect({ name, status, types }).toEqual({ name, status, types: ['application/json'] })
        }
        expect(Object.keys(operation.responses)).not.toContain('422')
        continue
      }
      const isOpenInference = / \/v2(\/|$)/.test(name)
      const expected = ['500', '504']
      const isForward = name === 'get /api/v1/auth/forward'
      if (operation.security?.length !== 0 && !isForward) expected.push('401', '403')
      if (operation.requestBody !== undefined) expected.push('400', '413', '415')
      if (operation.requestBody !== undefined && !isOpenInference) expected.push('422')
      for (const status of expected) {
        const types = Object.keys(operation.responses[status]?.content ?? {})
        expect({ name, status, types }).toEqual({
          name,
          status,
          types: [isOpenInference ? 'application/json' : 'application/problem+json'],
        })
      }
    }
  })
})

describe('what is asked of who comes', () => {
  const operationOf = ({ method, path }: { method: string; path: string }) =>
    document.paths[path.replace('{+', '{')]![method]!

  test('names the scope in the security, the text and the refusal', () => {
    const routes = harness.app.routes.filter(({ isPage }) => !isPage)
    const scoped = routes.filter(({ access }) => isScope(access))
    expect(scoped.length).toBeGreaterThan(20)
    for (const route of scoped) {
      const { security, description, responses } = operationOf(route)
      // A proxy gets no body.
      if (route.path === '/api/v1/auth/forward') continue
      if (route.path.startsWith('/v2/')) {
        expect(responses['403']!.content!['application/json']!.example).toEqual({
          error: `This needs the scope ${route.access}.`,
        })
        continue
      }
      const refusal = responses['403']!.content!['application/problem+json']!
      const told = { route: `${route.method} ${route.path}`, security, description, ...refusal }
      expect(told).toMatchObject({
        security: expect.arrayContaining([{ bearer: [route.access] }, { cookie: [route.access] }]),
        description: expect.stringContaining(`Needs \`${route.access}\`.`),
        example: { title: 'Forbidden', detail: `This needs the scope ${route.access}.` },
      })
    }
  })

  test('lists no key where people must be there themselves', async () => {
    const made = await harness.request({
      path: '/api/v1/api-keys',
      body: { name: 'key', scopes: Object.keys(scopes), expires_at: null },
      token: harness.adminToken,
    })
    const { key } = (await made.json()) as { key: string }
    const routes = harness.app.routes.filter(({ isPage, access }) => !isPage && access !== 'open')
    const taken: string[] = []
    for (const route of routes) {
      const { security, description } = operationOf(route)
      const schemes = security!.flatMap((each) => Object.keys(each))
      const path = route.path.replaceAll(/\{\+?\w+\}/g, 'nothing')
      const method = route.method.toUpperCase()
      const answer = await harness.request({ method, path, token: key })
      const said = await answer.text()
      const refused = answer.status === 403 && said.includes('a key will not do')
      const name = `${route.method} ${route.path}`
      expect({ name, refused }).toEqual({ name, refused: !schemes.includes('apiKey') })
      expect({ name, said: /no key will do/.test(description ?? '') }).toEqual({
        name,
        said: refused,
      })
      if (!refused) taken.push(name)
    }
    expect(taken.length).toBeGreaterThan(20)
    expect(taken).not.toContain('post /api/v1/service-accounts/{id}/api-keys')
  })

  test('says of clients how they say who they are', () => {
    for (const path of ['/oauth/token', '/oauth/introspect', '/oauth/revoke']) {
      expect(document.paths[path]!['post']!.security).toEqual([{ client: [] }])
    }
    expect(document.components.securitySchemes).toMatchObject({
      client: { type: 'http', scheme: 'basic' },
      oauth2: {
        type: 'oauth2',
        flows: { clientCredentials: { tokenUrl: '/oauth/token', scopes } },
      },
    })
    const predict = document.paths['/api/v1/predict']!['post']!
    expect(predict.security).toContainEqual({ oauth2: ['predict'] })
  })

  test('names the cookie as this server does', async () => {
    const settings = { PUBLIC_URL: 'https://quintet.example.com' }
    const secure = await openHarness(settings)
    const served = await (await secure.request({ path: '/openapi.json' })).json()
    await secure.close()
    const cookieOf = ({ components }: typeof document) => components.securitySchemes['cookie']!.name
    expect(cookieOf(served as typeof document)).toBe('__Host-quintet_session')
    expect(cookieOf(document)).toBe('quintet_session')
  })
})

test('how long a page is to be is a number, with its bounds', () => {
  const { parameters } = document.paths['/api/v1/users']!['get']!
  expect(parameters).toContainEqual(
    expect.objectContaining({
      name: 'limit',
      schema: { type: 'integer', minimum: 1, maximum: 100, default: 20, example: 20 },
    }),
  )
})

test('that something is away is said of all but what answers from memory, with when to try again', () => {
  const without = operations().filter(({ operation }) => operation.responses['503'] === undefined)
  expect(without.map(({ name }) => name).toSorted()).toEqual([
    'get /',
    'get /.well-known/oauth-authorization-server',
    'get /.well-known/openid-configuration',
    'get /api/v1/auth/sso',
    'get /docs',
    'get /docs/problems',
    'get /docs/scalar.js',
    'get /livez',
    'get /openapi.json',
    'get /v2',
    'get /v2/health/live',
  ])
  const problems = operations().flatMap(({ operation: { responses } }) =>
    ['429', '503'].flatMap((status) => responses[status] ?? []),
  )
  const refusals = problems.filter(({ content }) => content?.['application/problem+json'])
  expect(refusals.length).toBeGreaterThan(50)
  for (const { headers } of refusals) expect(headers).toHaveProperty('Retry-After')
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
