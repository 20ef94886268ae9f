import { z } from '@hono/zod-openapi'

import { problems } from '../gateway/problems.ts'
import { actorOf, type Route, route } from '../gateway/route.ts'
import {
  amount,
  datasetVersionExample,
  datasetVersionSchema,
  namePath,
  versionOf,
  versionPath,
} from './dataset-fields.ts'
import type { Datasets } from './datasets/datasets.ts'
import type { ReadableDatasets } from './datasets/readable-datasets.ts'
import type { StoredFiles } from './datasets/stored-files.ts'
import { dataProblems } from './problems.ts'

const PAGE_VERSIONS_MAX = 1000

/** The versions of a dataset, none of which ever changes. */
export function datasetVersionRoutes(deps: {
  datasets: Datasets
  readable: ReadableDatasets
  stored: StoredFiles
}): Route[] {
  const { datasets, readable, stored } = deps
  const common = { tag: 'datasets' } as const
  return [
    route(
      {
        ...common,
        method: 'get',
        path: '/api/v1/datasets/{name}/versions',
        access: 'datasets:read',
        summary: 'List the versions of a dataset',
        pathParameters: namePath,
        query: z.strictObject({ limit: amount(20, PAGE_VERSIONS_MAX) }),
        answers: {
          200: {
            description: 'The newest first',
            schema: z.object({ versions: z.array(datasetVersionSchema) }),
            example: { versions: [datasetVersionExample] },
          },
        },
        problems: [problems.invalidRequest, dataProblems.unknownDataset, problems.unavailable],
      },
      async ({ path: { name }, query }, { principal }) => {
        await readable.get(principal, name)
        const versions = await datasets.versions(name, query)
        return { body: { versions: versions.map(versionOf) } }
      },
    ),

    route(
      {
        ...common,
        method: 'get',
        path: '/api/v1/datasets/{name}/versions/{version}',
        access: 'datasets:read',
        summary: 'Describe a version of a dataset',
        pathParameters: versionPath,
        answers: {
          200: {
            description: 'Its columns, and the rows that were left out',
            schema: datasetVersionSchema,
            example: datasetVersionExample,
          },
        },
        problems: [dataProblems.unknownDataset, problems.unavailable],
      },
      async ({ path }, { principal }) => ({
        body: versionOf(await readable.version(principal, path.name, numberOf(path.version))),
      }),
    ),

    route(
      {
        ...common,
        method: 'delete',
        path: '/api/v1/datasets/{name}/versions/{version}',
        access: 'datasets:write',
        summary: 'Remove a version of a dataset',
        description: 'With the files that no other version shares.',
        pathParameters: versionPath,
        answers: { 204: { description: 'It is gone' } },
        problems: [dataProblems.unknownDataset, dataProblems.onlyVersion, problems.unavailable],
      },
      async ({ path }, context) => {
        const { name } = await readable.requireWrite(context.principal, path.name)
        const version = numberOf(path.version)
        const removed = await datasets.removeVersion(name, version, actorOf(context))
        if (removed === undefined) throw noVersion(path.version)
        await stored.dispose(removed)
        return new Response(null, { status: 204 })
      },
    ),
  ]
}

/** As versions are written: `01` and `1e0` name none. */
function numberOf(version: string): number {
  if (!/^[1-9]\d{0,14}$/.test(version)) throw noVersion(version)
  return Number(version)
}

const noVersion = (version: string) =>
  dataProblems.unknownDataset({ detail: `It has no version ${version.slice(0, 20)}.` })
