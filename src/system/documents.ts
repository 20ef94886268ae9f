import { OpenAPIHono } from '@hono/zod-openapi'
import { z } from 'zod'

import packageJson from '../../package.json' with { type: 'json' }
import { asksForPerson, refusalDetailOf } from '../gateway/guard.ts'
import type { ProblemConstructor } from '../gateway/problem.ts'
import { problems } from '../gateway/problems.ts'
import type { Route } from '../gateway/route.ts'
import { isScope, scopes } from '../gateway/scopes.ts'

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

/**
 * The OpenAPI 3.1 document of the routes, from the schemas that check their requests.
 *
 * @param cookieName of this very server: it follows from its settings.
 */
export function createDocument(routes: readonly Route[], { cookieName }: { cookieName: string }) {
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
  registry.registerComponent('securitySchemes', 'basic', {
    type: 'http',
    scheme: 'basic',
    description: 'An API key as the password, whatever the user name.',
  })
  registry.registerComponent('securitySchemes', 'oauth2', {
    type: 'oauth2',
    description: 'For service accounts. The token is sent as a bearer.',
    flows: { clientCredentials: { tokenUrl: '/oauth/token', scopes } },
  })
  registry.registerComponent('securitySchemes', 'client', {
    type: 'http',
    scheme: 'basic',
    description:
      'The id of a service account and one of its API keys, each encoded as in a form (RFC 6749, ' +
      'section 2.3.1). They may be in the body instead, as `client_id` and `client_secret`.',
  })
  registry.registerComponent('securitySchemes', 'cookie', {
    type: 'apiKey',
    in: 'cookie',
    name: cookieName,
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
      ...descriptionOf(route),
      security: securityOf(route),
      request: {
        ...(route.pathParameters === undefined
          ? {}
          : { params: route.pathParameters as z.ZodObject }),
        ...(route.query === undefined ? {} : { query: route.query as z.ZodObject }),
        ...(route.body === undefined
          ? {}
          : {
              body: { required: isBodyRequired(route.body), content: contentOf(route, route.body) },
            }),
      },
      responses: { ...refusalsOf(route), ...ownRefusalsOf(route), ...answersOf(route) },
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

/** OpenAPI 3.1 lets every scheme name what is needed, where 3.0 let those of OAuth alone. */
function securityOf(route: Route): Record<string, string[]>[] {
  const { access, isForClients } = route
  if (isForClients) return [{ client: [] }]
  if (access === 'open') return []
  const schemes = ['bearer', 'cookie', ...(asksForPerson(route) ? [] : KEY_SCHEMES)]
  return schemes.map((scheme) => ({ [scheme]: isScope(access) ? [access] : [] }))
}

const KEY_SCHEMES = ['apiKey', 'basic', 'oauth2']

/** With what it asks for, which the handler does not say again. */
function descriptionOf(route: Route): { description?: string } {
  const { access, description } = route
  const needs = isScope(access) ? `Needs \`${access}\`.` : undefined
  const presence = asksForPerson(route)
    ? 'For people who have logged in: no key will do.'
    : undefined
  const asked = [needs, presence].filter((sentence) => sentence !== undefined).join(' ')
  const text = [description ?? '', asked].filter((paragraph) => paragraph !== '').join('\n\n')
  return text === '' ? {} : { description: text }
}

const isBodyRequired = (body: NonNullable<Route['body']>) => body === 'stream' || !body.isOptional

function contentOf({ streamed }: Route, body: NonNullable<Route['body']>) {
  if (streamed !== undefined) return streamed
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
    const { description, schema, example, mediaType = 'application/json', alsoAs } = answer
    if (schema === undefined && example === undefined) return [status, { description }] as const
    const content = { schema: schema ?? z.string(), example }
    return [status, { description, content: { [mediaType]: content, ...alsoAs } }] as const
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
    // Who asks is looked up, and what is open has something to look up too, unless it says otherwise.
    ...(route.isSelfContained ? [] : [problems.unavailable]),
    problems.timeout,
  ]
}

const fault = { pointer: '#/features/body_mass_g/0', detail: 'expected a number' }
const faultsExample = { detail: `${fault.pointer}: ${fault.detail}`, errors: [fault] }

const WITH_RETRY_AFTER: ReadonlySet<number> = new Set([429, 503])
const retryAfter = {
  'Retry-After': {
    description: 'Seconds after which to try again',
    schema: { type: 'integer' as const, minimum: 0 },
    example: 5,
  },
}

/** A request that asks for nothing special. */
const PLAIN = new Request('http://localhost/')

/** Those that a protocol tells in a way of its own. */
function ownRefusalsOf(route: Route) {
  const told = problemsOf(route).flatMap((kind) => {
    const isForbidden = kind === problems.forbidden
    const problem = kind(isForbidden ? { detail: refusalDetailOf(route) } : {})
    const answer = route.refusal?.(problem, PLAIN)
    if (answer === undefined || answer instanceof Response) return []
    return [
      { title: kind.kind.title, isForbidden, status: answer.status ?? 200, body: answer.body },
    ]
  })
  const byStatus = Map.groupBy(told, ({ status }) => status)
  const responses = [...byStatus].map(([status, all]) => {
    const shown = all.find(({ isForbidden }) => isForbidden) ?? all[0]!
    return [
      status,
      {
        description: [...new Set(all.map(({ title }) => title))].join(', or '),
        ...(WITH_RETRY_AFTER.has(status) ? { headers: retryAfter } : {}),
        content: { 'application/json': { schema: ownRefusal, example: shown.body } },
      },
    ] as const
  })
  return Object.fromEntries(responses)
}

const ownRefusal = z.looseObject({ error: z.string() })

function refusalsOf(route: Route) {
  if (route.isPage) return {}
  const told = problemsOf(route).filter((kind) => route.refusal?.(kind(), PLAIN) === undefined)
  const byStatus = Map.groupBy(told, ({ kind }) => kind.status)
  const responses = [...byStatus].map(([status, kinds]) => {
    const isForbidden = kinds.includes(problems.forbidden)
    const { type, title, advice } = isForbidden ? problems.forbidden.kind : kinds[0]!.kind
    const example = {
      type,
      title,
      status,
      detail: isForbidden ? refusalDetailOf(route) : advice,
      ...(kinds.includes(problems.invalidRequest) ? faultsExample : {}),
      instance: '0198c5a2-7d31-7c9e-9f1b-2f6a1f0c8e11',
      error: title,
    }
    return [
      status,
      {
        description: [...new Set(kinds)].map(({ kind }) => kind.title).join(', or '),
        ...(WITH_RETRY_AFTER.has(status) ? { headers: retryAfter } : {}),
        content: { 'application/problem+json': { schema: problemSchema, example } },
      },
    ] as const
  })
  return Object.fromEntries(responses)
}

/** `POST /api/v1/predict/batch` → `postPredictBatch`, `GET /metrics` → `getSystemMetrics`, `GET /v2/health/live` → `getInferenceHealthLive`. */
function operationIdOf({ method, path, tag }: Route): string {
  const words = path.startsWith('/api/v1/')
    ? path.slice('/api/v1/'.length)
    : `${tag}${path.replace(/^\/v2/, '')}`
  return words
    .split(/[^A-Za-z0-9]+/)
    .map((word) => word.charAt(0).toUpperCase() + word.slice(1))
    .reduce((id, word) => id + word, method)
}
