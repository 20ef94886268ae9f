import type { Kit } from '../platform/database/columns.ts'
import type { RejectedRow } from './conversion/rejected-row.ts'
import type { Column } from './datasets/column.ts'
import type { Origin } from './datasets/origin.ts'

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

  /** Never changed. */
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
})

export type DataTables = ReturnType<typeof dataTables>
