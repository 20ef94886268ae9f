import type { Kit } from '../platform/database/columns.ts'
import type { RejectedRow } from './conversion/rejected-row.ts'
import type { Column } from './datasets/column.ts'
import type { Origin } from './datasets/origin.ts'
import type { DeclaredParameters } from './pipelines/declared-parameters.ts'
import type { Definition } from './pipelines/definition.ts'
import type { EndpointSettings } from './pipelines/endpoint-settings.ts'
import type { Output } from './pipelines/output.ts'
import type { Trigger } from './pipelines/trigger.ts'

export const dataTables = ({ table, column, index, uniqueIndex }: Kit) => ({
  datasets: table('datasets', {
    name: column.text().primaryKey(),
    description: column.text().notNull(),
    /** How many of the newest versions stay; null for all. */
    versionsKept: column.integer(),
    /** The last that was given: no number is ever given twice. */
    lastVersion: column.integer().notNull(),
    createdAt: column.timestamp().notNull(),
    updatedAt: column.timestamp().notNull(),
  }),

  /** Never changed, but for one that is open: it gets another id with each file that joins it. */
  datasetVersions: table(
    'dataset_versions',
    {
      id: column.text().primaryKey(),
      datasetName: column.text().notNull(),
      version: column.integer().notNull(),
      origin: column.text().$type<Origin>().notNull(),
      columns: column.json<Column[]>().notNull(),
      rows: column.integer().notNull(),
      /** Of all its files. */
      bytes: column.integer().notNull(),
      /** Ids of files, in the order of their rows. Versions share what they have in common. */
      files: column.json<string[]>().notNull(),
      /** How many of the last files events have added, while more may join them; null for all other versions. */
      openFiles: column.integer(),
      rejectedRows: column.integer().notNull(),
      /** The first of them. */
      rejected: column.json<RejectedRow[]>().notNull(),
      createdBy: column.text(),
      createdAt: column.timestamp().notNull(),
    },
    (version) => [uniqueIndex('dataset_versions_number').on(version.datasetName, version.version)],
  ),

  /** Parquet, in storage by its id. */
  datasetFiles: table(
    'dataset_files',
    {
      id: column.text().primaryKey(),
      datasetName: column.text().notNull(),
      bytes: column.integer().notNull(),
      createdAt: column.timestamp().notNull(),
    },
    (file) => [index('dataset_files_name').on(file.datasetName)],
  ),

  pipelines: table(
    'pipelines',
    {
      name: column.text().primaryKey(),
      description: column.text().notNull(),
      /** The last that was given. */
      lastVersion: column.integer().notNull(),
      /** A cron pattern, in UTC. */
      schedule: column.text(),
      /** When it is to be run by that; null where it is not. */
      dueAt: column.timestamp(),
      /** How it answers at an address of its own; null where it does not. */
      endpoint: column.json<EndpointSettings>(),
      createdAt: column.timestamp().notNull(),
      updatedAt: column.timestamp().notNull(),
    },
    (pipeline) => [index('pipelines_due').on(pipeline.dueAt)],
  ),

  /** Never changed. */
  pipelineVersions: table(
    'pipeline_versions',
    {
      id: column.text().primaryKey(),
      pipelineName: column.text().notNull(),
      version: column.integer().notNull(),
      definition: column.json<Definition>().notNull(),
      parameters: column.json<DeclaredParameters>().notNull(),
      output: column.json<Output>(),
      createdBy: column.text(),
      createdAt: column.timestamp().notNull(),
    },
    (version) => [
      uniqueIndex('pipeline_versions_number').on(version.pipelineName, version.version),
    ],
  ),

  /** Each by the id of its job. */
  pipelineRuns: table(
    'pipeline_runs',
    {
      id: column.text().primaryKey(),
      pipelineName: column.text().notNull(),
      version: column.integer().notNull(),
      trigger: column.text().$type<Trigger>().notNull(),
      parameters: column.json<Record<string, unknown>>().notNull(),
      /** Whose rights it has. */
      startedBy: column.text().notNull(),
      createdAt: column.timestamp().notNull(),
      startedAt: column.timestamp(),
      finishedAt: column.timestamp(),
      /** That came out. */
      rows: column.integer(),
      dataset: column.text(),
      datasetVersion: column.integer(),
      error: column.text(),
    },
    (run) => [
      index('pipeline_runs_name').on(run.pipelineName, run.id),
      index('pipeline_runs_created').on(run.createdAt),
    ],
  ),
})

export type DataTables = ReturnType<typeof dataTables>
