import { OpenAPIHono } from '@hono/zod-openapi'
import { z } from 'zod'

import packageJson from '../../package.json' with { type: 'json' }
import type { ProblemConstructor } from '../gateway/problem.ts'
import { problems } from '../gateway/problems.ts'
import type { Route } from '../gateway/route.ts'
import { scopes } from '../gateway/scopes.ts'

const description = `
Who you are, what the model says: one process behind one gateway.

Send \`Authorization: Bearer TOKEN\` with a token from \`POST /api/v1/auth/login\` or \`POST /oauth/token\`, or an API
key: so too, as \`X-API-Key\`, or as the password of Basic. Errors are problem
documents (RFC 9457); [each kind is explained here](/docs/problems).

Scopes:
${Object.entries(scopes)
  .map(([name, meaning]) => `- \`${name}\`: ${meaning}`)
  .join('\n')}
`.trim()

const problemSchema = z
  .looseObject({
    type: z.string(),
    title: z.string(),
    status: z.int(),
    detail: z.string().optional(),
    instance: z.string(),
    error: z.string(),
    errors: z.array(z.object({ pointer: z.string(), detail: z.string() })).optional(),
  })
  .openapi('Problem')

/** The OpenAPI 3.1 document of the routes, from the schemas that check their requests. */
export function createDocument(routes: readonly Route[]) {
  const { openAPIRegistry: registry, getOpenAPI31Document } = new OpenAPIHono()
  registry.registerComponent('securitySchemes', 'bearer', {
    type: 'http',
    scheme: 'bearer',
    bearerFormat: 'JWT',
  })
  registry.registerComponent('securitySchemes', 'apiKey', {
    type: 'apiKey',
    in: 'header',
    name: 'X-API-Key',
  })
  registry.registerComponent('securitySchemes', 'basic', { type: 'http', scheme: 'basic' })
  registry.registerComponent('securitySchemes', 'cookie', {
    type: 'apiKey',
    in: 'cookie',
    name: 'quintet_session',
    description:
      'Of a browser that has signed in at /sign-in. Over https its name begins with `__Host-`, with ' +
      '`COOKIE_DOMAIN` set with `__Secure-`.',
  })
  for (const route of routes.filter(({ isPage }) => !isPage)) {
    registry.registerPath({
      method: route.method,
      // OpenAPI knows no parameter with slashes in it.
      path: route.path.replace('{+', '{'),
      operationId: operationIdOf(route),
      tags: [route.tag],
      summary: route.summary,
      ...(route.description === undefined ? {} : { description: route.description }),
      security: securityOf(route),
      request: {
        ...(route.pathParameters === undefined
          ? {}
          : { params: route.pathParameters as z.ZodObject }),
        ...(route.query === undefined ? {} : { query: route.query as z.ZodObject }),
        ...(route.body === undefined
          ? {}
          : { body: { required: true, content: contentOf(route.body) } }),
      },
      responses: { ...answersOf(route), ...refusalsOf(route) },
    })
  }
  return getOpenAPI31Document({
    openapi: '3.1.0',
    info: {
      title: 'Quintet',
      version: packageJson.version,
      description,
      license: { name: 'Apache-2.0', url: 'https://www.apache.org/licenses/LICENSE-2.0' },
    },
    servers: [{ url: '/' }],
  })
}

/** Where people must be there themselves, no key will do. */
function securityOf({ access }: Route): Record<string, string[]>[] {
  if (access === 'open') return []
  const sessions = [{ bearer: [] }, { cookie: [] }]
  return access === 'in-person' ? sessions : [...sessions, { apiKey: [] }, { basic: [] }]
}

function contentOf(body: NonNullable<Route['body']>) {
  if (body !== 'stream') {
    const { schema, example, isForm } = body
    return {
      [isForm ? 'application/x-www-form-urlencoded' : 'application/json']: { schema, example },
    }
  }
  const schema = { type: 'string', format: 'binary' } as const
  return { 'application/octet-stream': { schema, example: 'the bytes of the file' } }
}

function answersOf({ answers }: Route) {
  const responses = Object.entries(answers).map(([status, answer]) => {
    const { description, schema, example, mediaType = 'application/json' } = answer
    if (schema === undefined && example === undefined) return [status, { description }] as const
    const content = { schema: schema ?? z.string(), example }
    return [status, { description, content: { [mediaType]: content } }] as const
  })
  return Object.fromEntries(responses)
}

/** Every kind of refusal that a route may answer: its own, and those that follow from what it asks. */
export function problemsOf(route: Route): ProblemConstructor[] {
  return [
    ...(route.problems ?? []),
    ...(route.access === 'open'
      ? []
      : [
          problems.unauthenticated,
          problems.invalidToken,
          problems.tokenExpired,
          problems.forbidden,
        ]),
    ...(route.rate === 'none' ? [] : [problems.tooManyRequests]),
    ...(route.body === undefined
      ? []
      : [
          problems.malformedBody,
          problems.bodyTooLarge,
          problems.unsupportedMediaType,
          ...(route.body === 'stream' ? [] : [problems.invalidRequest]),
        ]),
    ...(route.query === undefined ? [] : [problems.invalidRequest]),
    problems.internal,
    problems.timeout,
  ]
}

const fault = { pointer: '#/features/body_mass_g/0', detail: 'expected a number' }
const faultsExample = { detail: `${fault.pointer}: ${fault.detail}`, errors: [fault] }

function refusalsOf(route: Route) {
  // A protocol with a way of its own to refuse says so among its answers; a page is for people.
  const isOwn = Object.keys(route.answers).some((status) => Number(status) >= 400)
  if (route.isPage || (route.refusal !== undefined && isOwn)) return {}
  const byStatus = Map.groupBy(problemsOf(route), ({ kind }) => kind.status)
  const responses = [...byStatus].map(([status, kinds]) => {
    const { type, title } = kinds[0]!.kind
    const example = {
      type,
      title,
      status,
      ...(kinds.includes(problems.invalidRequest) ? faultsExample : {}),
      instance: '0198c5a2-7d31-7c9e-9f1b-2f6a1f0c8e11',
      error: title,
    }
    return [
      status,
      {
        description: kinds.map(({ kind }) => kind.title).join(', or '),
        content: { 'application/problem+json': { schema: problemSchema, example } },
      },
    ] as const
  })
  return Object.fromEntries(responses)
}

/** `POST /api/v1/predict/batch` → `postPredictBatch`, `GET /metrics` → `getSystemMetrics`. */
function operationIdOf({ method, path, tag }: Route): string {
  const words = path.startsWith('/api/v1/') ? path.slice('/api/v1/'.length) : `${tag}${path}`
  return words
    .split(/[^A-Za-z0-9]+/)
    .map((word) => word.charAt(0).toUpperCase() + word.slice(1))
    .reduce((id, word) => id + word, method)
}
