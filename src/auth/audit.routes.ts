import { z } from '@hono/zod-openapi'

import { events } from '../events.ts'
import { nextPage, pageOf, pageQuery } from '../gateway/page.ts'
import { type Route, route } from '../gateway/route.ts'
import type { Audit, AuditEntry } from './audit/audit.ts'

const types = Object.keys(events).filter((type) => type.startsWith('auth.'))
const outcome = z.enum(['success', 'failure'])

const entry = z
  .object({
    id: z.string(),
    type: z.string().meta({ description: 'That of the event that told of it' }),
    time: z.iso.datetime(),
    actor: z
      .object({
        kind: z.enum(['user', 'service_account', 'server', 'anonymous']).nullable().meta({
          description:
            '`server` is the server itself, or who has its machine; `anonymous` did not prove who they are; null in entries that are older than the member',
        }),
        id: z.string().nullable(),
        name: z.string().nullable(),
      })
      .meta({ description: 'Who did it, by the name of then' }),
    subject: z
      .object({ id: z.string(), name: z.string().nullable() })
      .nullable()
      .meta({ description: 'The user, or service account, it was done to, by the name of then' }),
    address: z.string().nullable().meta({ description: 'Where it was done from' }),
    outcome,
    details: z.looseObject({}).meta({ description: 'What the event carries beside' }),
  })
  .openapi('AuditEntry')

const example = {
  id: '0198c5a2-8c55-7a3e-b0a1-94a3c0f0d2b7',
  type: 'auth.user_changed',
  time: '2026-01-02T03:04:05.678Z',
  actor: { kind: 'user' as const, id: '0198c5a2-7d31-7c9e-9f1b-2f6a1f0c8e11', name: 'admin' },
  subject: { id: '0198c5a2-7e02-7b11-8d3c-5b8f0b6c1d22', name: 'ada' },
  address: '203.0.113.7',
  outcome: 'success' as const,
  details: {
    user_id: '0198c5a2-7e02-7b11-8d3c-5b8f0b6c1d22',
    changed: ['role'],
    from: { role: 'viewer' },
    to: { role: 'editor' },
  },
}

const moment = z.iso
  .datetime({ offset: true })
  .transform((text) => new Date(text))
  .optional()
  .openapi({ type: 'string', format: 'date-time', example: '2026-01-01T00:00:00Z' })

const query = z.strictObject({
  ...pageQuery,
  type: z.enum(types as [string, ...string[]]).optional(),
  principal: z
    .string()
    .max(64)
    .optional()
    .openapi({ description: 'Id of who did it, or of who it was done to' }),
  outcome: outcome.optional(),
  since: moment,
  until: moment,
})

/** Who did what. */
export function auditRoutes(audit: Audit): Route[] {
  return [
    route(
      {
        method: 'get',
        path: '/api/v1/audit',
        access: 'audit:read',
        tag: 'audit',
        summary: 'List who did what',
        description: 'Every act that matters to security, the newest first. Nobody can change it.',
        query,
        answers: {
          200: {
            description: 'A page',
            schema: z.object({ entries: z.array(entry), next: nextPage }),
            example: { entries: [example], next: null },
          },
        },
      },
      async ({ query: { principal, limit, ...filter } }) => {
        const found = await audit.list({ ...filter, principalId: principal, limit: limit + 1 })
        const { shown, next } = pageOf(found, limit)
        return { body: { entries: shown.map(documentOf), next } }
      },
    ),
  ]
}

const documentOf = ({ subjectId, ...entry }: AuditEntry) => ({
  id: entry.id,
  type: entry.type,
  time: entry.time,
  actor: { kind: entry.actorKind, id: entry.actorId, name: entry.actorName },
  subject: subjectId === null ? null : { id: subjectId, name: entry.subjectName },
  address: entry.address,
  outcome: entry.outcome,
  details: entry.details,
})
