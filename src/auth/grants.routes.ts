import { z } from '@hono/zod-openapi'

import type { Action, Resource } from '../gateway/access.ts'
import { requireScope } from '../gateway/guard.ts'
import { problems } from '../gateway/problems.ts'
import { actorOf, identityOf, type RequestContext, type Route, route } from '../gateway/route.ts'
import { scalar } from '../gateway/scalar.ts'
import type { SharedAccess } from './grants/access.ts'
import type { Grants, NamedShare, WantedGrantee } from './grants/grants.ts'

const BODY_BYTES_MAX = 64 * 1024
const PRINCIPALS_MAX = 100
const ID_CHARACTERS_MAX = 64
const NAME_CHARACTERS_MAX = 320

const action = z.enum(['read', 'write'])
const team = z
  .enum(['none', 'read', 'write'])
  .meta({ description: 'What everybody with an account here may do' })
const ownerId = z.string().nullable()

const share = z
  .object({
    kind: z.string(),
    id: z.string(),
    owner_id: ownerId,
    team,
    principals: z.array(
      z.object({
        id: z.string(),
        kind: z.enum(['user', 'service_account']),
        name: z.string(),
        access: action,
      }),
    ),
  })
  .openapi('Grants')

/** What was read may be sent back. */
const ignored = z
  .unknown()
  .optional()
  .openapi({ type: 'string', description: 'As it was read; it changes nothing' })

const WAYS = ['id', 'username', 'service_account'] as const
const grantee = z
  .strictObject({
    id: scalar(z.string().max(ID_CHARACTERS_MAX).optional()),
    username: scalar(z.string().max(NAME_CHARACTERS_MAX).optional()).openapi({
      description: 'Instead of `id`: a user, whatever the case of the name',
    }),
    service_account: scalar(z.string().max(NAME_CHARACTERS_MAX).optional()).openapi({
      description: 'Instead of `id`: the name of a service account',
    }),
    kind: ignored,
    name: ignored,
    access: scalar(action),
  })
  .superRefine((given, context) => {
    const [way, other] = WAYS.filter((each) => given[each] !== undefined)
    const blame = (member: string, message: string) =>
      context.addIssue({ code: 'custom', path: [member], message })
    if (way === undefined) blame('id', `expected one of ${WAYS.join(', ')}`)
    if (other !== undefined) blame(other, `is too much: somebody is named by ${way} already`)
  })

const wanted = z.strictObject({
  kind: ignored,
  id: ignored,
  owner_id: scalar(z.string().max(ID_CHARACTERS_MAX).nullish()).openapi({
    description: 'Stays as it is when it is left out; only administrators change it',
  }),
  team: scalar(team),
  principals: z.array(grantee).max(PRINCIPALS_MAX, `has more than ${PRINCIPALS_MAX} principals`),
})

const granteeId = '0198c5a2-7e02-7b11-8d3c-5b8f0b6c1d22'
const example = {
  kind: 'model',
  id: 'regression',
  owner_id: '0198c5a2-7d31-7c9e-9f1b-2f6a1f0c8e11',
  team: 'none' as const,
  principals: [{ id: granteeId, kind: 'user' as const, name: 'ada', access: 'read' as const }],
}

const common = {
  path: '/api/v1/grants/{kind}/{id}',
  // The scope that is asked for is the kind's.
  access: 'signed-in',
  tag: 'grants',
  pathParameters: z.object({
    kind: z.string().openapi({ example: 'model' }),
    id: z.string().openapi({ example: 'regression' }),
  }),
  answers: { 200: { description: 'Who may do what to it', schema: share, example } },
} as const

/** Who may do what to which resource. */
export function grantRoutes(deps: { grants: Grants; access: SharedAccess }): Route[] {
  const { grants, access } = deps

  /** @throws {Problem} 403 without the kind's scope; 404 for what is not there, or not theirs to see. */
  async function requireReadable(
    resource: Resource,
    action: Action,
    context: RequestContext,
  ): Promise<void> {
    const kind = access.kind(resource.kind)
    if (kind === undefined) {
      const known = access.kinds().join(', ')
      throw problems.notFound({
        detail: `There is no kind "${resource.kind}". There are: ${known}.`,
      })
    }
    const { principal } = context
    requireScope(principal, kind.scopes[action])
    const isThere = await kind.exists(resource.id)
    if (isThere && (await access.mayAccess(principal, 'read', resource))) return
    throw problems.notFound({ detail: `There is no ${kind.kind} "${resource.id}".` })
  }

  return [
    route(
      {
        ...common,
        method: 'get',
        summary: 'See who may do what',
        description:
          'To a model, for whoever may read it. Of those it is granted to, who may not write sees themselves alone. It asks for the scope that the kind does: `models:read`.',
        problems: [problems.notFound],
      },
      async ({ path }, context) => {
        await requireReadable(path, 'read', context)
        return { body: documentOf(path, await grants.get(path, identityOf(context))) }
      },
    ),

    route(
      {
        ...common,
        method: 'put',
        bodyBytesMax: BODY_BYTES_MAX,
        summary: 'Say who may do what',
        description:
          `For the owner and for administrators. It replaces all that was granted before, and counts at once; ` +
          `at most ${PRINCIPALS_MAX} principals can be named, each by \`id\`, \`username\` or \`service_account\`. Who may not read a resource is told that it is ` +
          'not there. It asks for the scope that the kind does: `models:write`.',
        body: {
          schema: wanted,
          example: { team: 'none', principals: [{ username: 'ada', access: 'read' }] },
        },
        problems: [problems.notFound],
      },
      async ({ path, body }, context) => {
        await requireReadable(path, 'write', context)
        const named = body.principals.map(wantedGranteeOf)
        const share = { ownerId: body.owner_id, team: body.team, named }
        const by = identityOf(context)
        return { body: documentOf(path, await grants.replace(path, share, by, actorOf(context))) }
      },
    ),
  ]
}

function wantedGranteeOf(given: z.output<typeof grantee>): WantedGrantee {
  const by = WAYS.find((way) => given[way] !== undefined)!
  return { by, value: given[by]!, access: given.access }
}

const documentOf = ({ kind, id }: Resource, { ownerId, team, named }: NamedShare) => ({
  kind,
  id,
  owner_id: ownerId,
  team,
  principals: named.map((grantee) => ({
    id: grantee.id,
    kind: grantee.kind,
    name: grantee.name,
    access: grantee.access,
  })),
})
