import { z } from '@hono/zod-openapi'

import { nextPage, pageOf, pageQuery } from '../gateway/page.ts'
import { problems } from '../gateway/problems.ts'
import { identityOf, type RequestContext, type Route, route } from '../gateway/route.ts'
import type { Job, Jobs } from '../platform/jobs/jobs.ts'
import type { Storage } from '../platform/storage/storage.ts'
import { jobsProblems } from './problems.ts'

const RESULT_ADDRESS_TTL_SECONDS = 3600

const moment = z.iso.datetime().nullable()
const job = z
  .object({
    id: z.string(),
    type: z.string(),
    state: z.enum(['ready', 'active', 'done', 'failed', 'cancelled']),
    progress: z.number().openapi({ description: 'From 0 to 1' }),
    attempt: z.int(),
    attempts_max: z.int(),
    error: z.string().nullable().openapi({ description: 'Why the last attempt failed' }),
    result_url: z.string().nullable().openapi({ description: 'Where the result is, for an hour' }),
    owner_id: z.string().nullable(),
    created_at: z.iso.datetime(),
    run_at: z.iso.datetime().openapi({ description: 'Not before' }),
    started_at: moment,
    finished_at: moment,
    expires_at: moment.openapi({ description: 'When it is forgotten, with its result' }),
  })
  .openapi('Job')
const page = z.object({
  jobs: z.array(job),
  next: nextPage,
})

const pathParameters = z.object({ id: z.string() })
const query = z.strictObject(pageQuery)

const example = {
  id: '0198c5a2-7d31-7c9e-9f1b-2f6a1f0c8e11',
  type: 'predictions.batch',
  state: 'done' as const,
  progress: 1,
  attempt: 1,
  attempts_max: 5,
  error: null,
  result_url:
    'https://api.example.com/api/v1/files/predictions/0198c5a2.json?expires=…&signature=…',
  owner_id: '0198c5a2-6a10-7b3c-8d2e-5f4a3b2c1d0e',
  created_at: '2026-01-02T03:04:05.678Z',
  run_at: '2026-01-02T03:04:05.678Z',
  started_at: '2026-01-02T03:04:05.690Z',
  finished_at: '2026-01-02T03:04:06.120Z',
  expires_at: '2026-01-09T03:04:06.120Z',
}

/** My jobs; an administrator's are everybody's. What another has does not exist for me. */
export function jobRoutes(deps: { jobs: Jobs; storage: Storage }): Route[] {
  const { jobs, storage } = deps

  const documentOf = (job: Job) => ({
    id: job.id,
    type: job.type,
    state: job.state,
    progress: job.progress,
    attempt: job.attempt,
    attempts_max: job.attemptsMax,
    error: job.error,
    result_url: resultUrlOf(job),
    owner_id: job.ownerId,
    created_at: job.createdAt,
    run_at: job.runAt,
    started_at: job.startedAt,
    finished_at: job.finishedAt,
    expires_at: job.expiresAt,
  })

  /** A result that is a file is handed out by an address that anything can read; any other has one of its own. */
  function resultUrlOf({ result }: Job): string | null {
    if (typeof result !== 'object' || result === null) return null
    if ('location' in result && typeof result.location === 'string') return result.location
    if (!('file' in result) || typeof result.file !== 'string') return null
    return storage.downloadAddress(result.file, { expiresInSeconds: RESULT_ADDRESS_TTL_SECONDS })
  }

  async function requireJob(id: string, context: RequestContext): Promise<Job> {
    const job = await jobs.get(id)
    const { id: identityId, scopes } = identityOf(context)
    if (job !== undefined && (scopes.has('jobs:admin') || job.ownerId === identityId)) return job
    throw problems.notFound({ detail: 'There is no such job.' })
  }

  return [
    route(
      {
        method: 'get',
        path: '/api/v1/jobs',
        access: 'jobs:read',
        tag: 'jobs',
        summary: 'List jobs',
        description: 'Mine, the newest first; to an administrator, all.',
        query,
        answers: {
          200: { description: 'A page', schema: page, example: { jobs: [example], next: null } },
        },
      },
      async ({ query: { before, limit } }, context) => {
        const { id, scopes } = identityOf(context)
        const found = await jobs.list({
          ...(scopes.has('jobs:admin') ? {} : { ownerId: id }),
          ...(before === undefined ? {} : { before }),
          limit: limit + 1,
        })
        const { shown, next } = pageOf(found, limit)
        return { body: { jobs: shown.map(documentOf), next } }
      },
    ),

    route(
      {
        method: 'get',
        path: '/api/v1/jobs/{id}',
        access: 'jobs:read',
        tag: 'jobs',
        summary: 'Look at a job',
        pathParameters,
        answers: { 200: { description: 'The job', schema: job, example } },
        problems: [problems.notFound],
      },
      async ({ path }, context) => ({ body: documentOf(await requireJob(path.id, context)) }),
    ),

    route(
      {
        method: 'delete',
        path: '/api/v1/jobs/{id}',
        access: 'jobs:read',
        tag: 'jobs',
        summary: 'Cancel a job, or forget one that has ended',
        description: 'A job that runs is told to stop; look at it to see when it has.',
        pathParameters,
        answers: {
          202: {
            description: 'It is cancelled, or will be',
            schema: job,
            example: { ...example, state: 'cancelled', progress: 0.2, result_url: null },
          },
          204: { description: 'It is forgotten, and its result is removed' },
        },
        problems: [problems.notFound],
      },
      async ({ path }, context) => {
        await requireJob(path.id, context)
        if (await jobs.cancel(path.id)) {
          return { status: 202, body: documentOf(await requireJob(path.id, context)) }
        }
        if (!(await jobs.forget(path.id))) {
          throw problems.notFound({ detail: 'There is no such job any more.' })
        }
        return new Response(null, { status: 204 })
      },
    ),

    route(
      {
        method: 'post',
        path: '/api/v1/jobs/{id}/replay',
        access: 'jobs:read',
        tag: 'jobs',
        summary: 'Try a failed job again',
        description: 'It gets as many attempts as it had.',
        pathParameters,
        answers: {
          202: {
            description: 'It waits again',
            schema: job,
            example: { ...example, state: 'ready', attempt: 0, progress: 0, result_url: null },
          },
        },
        problems: [problems.notFound, jobsProblems.notFailed],
      },
      async ({ path }, context) => {
        await requireJob(path.id, context)
        if (!(await jobs.replay(path.id))) {
          throw jobsProblems.notFailed({ detail: 'Only a job that has failed can be replayed.' })
        }
        return { status: 202, body: documentOf(await requireJob(path.id, context)) }
      },
    ),
  ]
}
