import { z } from '@hono/zod-openapi'

import { FIELDS_BYTES_MAX } from '../gateway/body.ts'
import { nextPage, pageOf, pageQuery } from '../gateway/page.ts'
import { problems } from '../gateway/problems.ts'
import { actorOf, type Route, route } from '../gateway/route.ts'
import { scalar } from '../gateway/scalar.ts'
import {
  machineDescription,
  machineName,
  scopeNames,
  serviceAccountDocument,
  serviceAccountExample,
  serviceAccountSchema,
} from './machine-fields.ts'
import { requireReach, requireScopes } from './machines/rights.ts'
import type { ServiceAccount, ServiceAccounts } from './machines/service-accounts.ts'
import { authProblems } from './problems.ts'

const newServiceAccount = z.strictObject({
  name: machineName,
  description: machineDescription.optional(),
  scopes: scopeNames,
})
const change = z.strictObject({
  name: machineName.optional(),
  description: machineDescription.optional(),
  scopes: scopeNames.optional(),
  disabled: scalar(z.boolean()).optional(),
})
const { name, description, scopes } = serviceAccountExample
const pathParameters = z.object({ id: z.string() })

/** Accounts of programs, for administrators. */
export function serviceAccountRoutes(serviceAccounts: ServiceAccounts): Route[] {
  return [
    route(
      {
        method: 'get',
        path: '/api/v1/service-accounts',
        access: 'service-accounts:read',
        tag: 'service accounts',
        summary: 'List service accounts',
        description: 'The newest first.',
        query: z.strictObject(pageQuery),
        answers: {
          200: {
            description: 'A page',
            schema: z.object({ service_accounts: z.array(serviceAccountSchema), next: nextPage }),
            example: { service_accounts: [serviceAccountExample], next: null },
          },
        },
      },
      async ({ query: { before, limit } }) => {
        const found = await serviceAccounts.list({ before, limit: limit + 1 })
        const { shown, next } = pageOf(found, limit)
        return { body: { service_accounts: shown.map(serviceAccountDocument), next } }
      },
    ),
    route(
      {
        method: 'post',
        path: '/api/v1/service-accounts',
        access: 'service-accounts:write',
        bodyBytesMax: FIELDS_BYTES_MAX,
        tag: 'service accounts',
        summary: 'Create a service account',
        description:
          'For a program that outlives whoever set it up. It logs in by no password: give it an API key. Its scopes are among those of who creates it.',
        body: { schema: newServiceAccount, example: { name, description, scopes } },
        answers: {
          201: {
            description: 'The new service account',
            schema: serviceAccountSchema,
            example: serviceAccountExample,
          },
        },
        problems: [authProblems.nameTaken],
      },
      async ({ body }, context) => {
        requireScopes(body.scopes, context.principal.scopes)
        const account = { ...body, description: body.description ?? null }
        const made = await serviceAccounts.create(account, actorOf(context))
        return { status: 201, body: serviceAccountDocument(made) }
      },
    ),
    route(
      {
        method: 'get',
        path: '/api/v1/service-accounts/{id}',
        access: 'service-accounts:read',
        tag: 'service accounts',
        summary: 'Look at a service account',
        pathParameters,
        answers: {
          200: {
            description: 'The service account',
            schema: serviceAccountSchema,
            example: serviceAccountExample,
          },
        },
        problems: [problems.notFound],
      },
      async ({ path }) => ({
        body: serviceAccountDocument(existing(await serviceAccounts.get(path.id))),
      }),
    ),
    route(
      {
        method: 'patch',
        path: '/api/v1/service-accounts/{id}',
        access: 'service-accounts:write',
        bodyBytesMax: FIELDS_BYTES_MAX,
        tag: 'service accounts',
        summary: 'Change a service account',
        description:
          'What is left out stays. Fewer scopes, or `disabled`, count at once for all its keys and tokens; scopes that it did not have are among those of who changes it, and so are all of one that is let in again.',
        pathParameters,
        body: { schema: change, example: { scopes: ['predict'], disabled: false } },
        answers: {
          200: {
            description: 'The service account as it is now',
            schema: serviceAccountSchema,
            example: { ...serviceAccountExample, scopes: ['predict'] },
          },
        },
        problems: [problems.notFound, authProblems.nameTaken],
      },
      async ({ path, body }, context) => {
        const allow = (account: ServiceAccount) => {
          if (body.disabled === false) requireReach(account, context.principal)
          requireScopes(body.scopes ?? [], context.principal.scopes, account.scopes)
        }
        const changed = await serviceAccounts.change(path.id, body, actorOf(context), allow)
        return { body: serviceAccountDocument(existing(changed)) }
      },
    ),
    route(
      {
        method: 'delete',
        path: '/api/v1/service-accounts/{id}',
        access: 'service-accounts:write',
        tag: 'service accounts',
        summary: 'Delete a service account',
        description:
          'With all its keys and tokens. To shut it out for a while, disable it. Of none that may do more than who asks.',
        pathParameters,
        answers: { 204: { description: 'It is gone' } },
        problems: [problems.notFound],
      },
      async ({ path }, context) => {
        const allow = (account: ServiceAccount) => requireReach(account, context.principal)
        if (!(await serviceAccounts.remove(path.id, actorOf(context), allow))) throw noSuchAccount()
        return new Response(null, { status: 204 })
      },
    ),
  ]
}

const noSuchAccount = () => problems.notFound({ detail: 'There is no such service account.' })

function existing(account: ServiceAccount | undefined): ServiceAccount {
  if (account === undefined) throw noSuchAccount()
  return account
}
