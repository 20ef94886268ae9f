import { z } from '@hono/zod-openapi'

import { problems } from '../gateway/problems.ts'
import { identityOf, type Route, route } from '../gateway/route.ts'
import { importSourceSchema } from './imports/import-source.ts'
import { outputSchema } from './pipelines/output.ts'
import type { PipelineJobs } from './pipelines/pipeline-jobs.ts'
import { dataProblems } from './problems.ts'

const BODY_BYTES_MAX = 64 * 1024

const body = z.strictObject({
  from: importSourceSchema,
  output: outputSchema.refine(
    ({ watermark }) => watermark === undefined,
    'expected no watermark: a file is fetched whole',
  ),
})

/** Datasets from elsewhere, fetched once; what is fetched again and again is a pipeline. */
export function datasetImportRoutes({ pipelineJobs }: { pipelineJobs: PipelineJobs }): Route[] {
  return [
    route(
      {
        method: 'post',
        path: '/api/v1/datasets/imports',
        access: 'datasets:write',
        tag: 'datasets',
        summary: 'Fetch a dataset from elsewhere',
        description:
          'By a job, from an https address: what is there becomes a dataset, as if it had been uploaded. Addresses of private networks are refused unless `EGRESS_ALLOW` names them. `PUT /api/v1/pipelines/{name}` with the same `from` and `output` saves it, for a schedule.',
        bodyBytesMax: BODY_BYTES_MAX,
        body: {
          schema: body,
          example: {
            from: { url: 'https://data.example.com/sales.csv.gz' },
            output: { dataset: 'sales', mode: 'replace' },
          },
        },
        answers: {
          202: {
            description: 'The job waits for its turn; `Location` says how it stands',
            schema: z.object({ id: z.string(), state: z.literal('ready') }),
            example: { id: '0198c5a2-7d31-7c9e-9f1b-2f6a1f0c8e11', state: 'ready' },
          },
        },
        problems: [
          problems.malformedBody,
          problems.invalidRequest,
          problems.forbidden,
          dataProblems.nameTaken,
          dataProblems.refusedImport,
          problems.unavailable,
        ],
      },
      async ({ body: { from, output } }, context) => {
        const work = { definition: { from }, parameters: {}, versions: {}, output }
        const id = await pipelineJobs.start(work, identityOf(context))
        const headers = { location: `/api/v1/jobs/${id}` }
        return { status: 202, body: { id, state: 'ready' }, headers }
      },
    ),
  ]
}
