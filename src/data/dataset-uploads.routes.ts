import { z } from '@hono/zod-openapi'

import { problems } from '../gateway/problems.ts'
import { identityOf, type Route, route } from '../gateway/route.ts'
import type { HandedUploads } from './datasets/handed-uploads.ts'

/** Addresses for files that are too large to send twice. */
export function datasetUploadRoutes({ handed }: { handed: HandedUploads }): Route[] {
  return [
    route(
      {
        method: 'post',
        path: '/api/v1/datasets/uploads',
        access: 'datasets:write',
        tag: 'datasets',
        summary: 'Get an address to upload a file to',
        description:
          'A `PUT` of the file to `url` needs no token, and where files are kept in object storage it goes there, past the server. Then `POST /api/v1/datasets?upload=ID` takes it in, without a body. It is kept for a day.',
        answers: {
          201: {
            description: 'Where to, until then',
            schema: z.object({
              id: z.string(),
              url: z.string(),
              bytes_max: z.int(),
              expires_at: z.iso.datetime(),
            }),
            example: {
              id: '019b76a1-2c3d-7000-8000-000000000003',
              url: 'http://localhost:8080/api/v1/files/dataset-handed-uploads/019b76a1/019b76a2?expires=1767323045&bytes_max=1073741824&signature=vX1q',
              bytes_max: 1_073_741_824,
              expires_at: '2026-01-02T04:04:05.678Z',
            },
          },
        },
        problems: [problems.unavailable],
      },
      (_, context) => ({ status: 201, body: handed.begin(identityOf(context)) }),
    ),
  ]
}
