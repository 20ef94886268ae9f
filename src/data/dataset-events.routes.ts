import { z } from '@hono/zod-openapi'

import { problems } from '../gateway/problems.ts'
import { actorOf, identityOf, type Route, route } from '../gateway/route.ts'
import { namePath } from './dataset-fields.ts'
import { datasetName } from './datasets/dataset-name.ts'
import { eventLines } from './datasets/event-lines.ts'
import type { DatasetEvents } from './datasets/events.ts'
import { dataProblems } from './problems.ts'

/** Rows one by one. */
export function datasetEventRoutes(deps: {
  events: DatasetEvents
  limits: { bodyBytesMax: number; timeoutMs: number }
}): Route[] {
  const { events, limits } = deps
  return [
    route(
      {
        method: 'post',
        path: '/api/v1/datasets/{name}/events',
        access: 'datasets:write',
        tag: 'datasets',
        summary: 'Add rows to a dataset',
        description:
          'As NDJSON, or as CloudEvents (`application/cloudevents+json`, `application/cloudevents-batch+json`). Those that come at about the same time are written together, and answered for when they are stored: all rows of a request, or none. They join one version until that is closed, after an hour at most. A dataset that is not there is made.',
        pathParameters: namePath,
        body: 'stream',
        ...limits,
        streamed: {
          'application/x-ndjson': {
            schema: z.string(),
            example: '{"at":"2026-03-01T08:00:00Z","shop":"Bern","revenue":12.5}\n',
          },
          'application/cloudevents+json': {
            schema: z.looseObject({}),
            example: {
              specversion: '1.0',
              id: '1',
              source: '/shops/bern',
              type: 'sale',
              data: { revenue: 12.5 },
            },
          },
        },
        answers: {
          200: {
            description: 'They are stored',
            schema: z.object({ rows: z.int(), version: z.int() }),
            example: { rows: 1, version: 4 },
          },
        },
        problems: [
          problems.malformedBody,
          problems.invalidRequest,
          problems.unsupportedMediaType,
          dataProblems.refusedUpload,
          dataProblems.tooMuch,
          dataProblems.nameTaken,
          dataProblems.conflict,
          dataProblems.quotaExceeded,
          dataProblems.overloaded,
          dataProblems.queryTimeout,
          problems.unavailable,
        ],
      },
      async ({ path, body }, context) => {
        const name = datasetName.safeParse(path.name)
        if (!name.success) {
          throw dataProblems.unknownDataset({ detail: `There is no such dataset.` })
        }
        const text = await new Response(body).text()
        const { lines, rows } = eventLines(text, context.request.headers.get('content-type'))
        const by = { identity: identityOf(context), actor: actorOf(context) }
        const { version } = await events.add(name.data, { lines, rows, ...by })
        return { body: { rows, version } }
      },
    ),
  ]
}
