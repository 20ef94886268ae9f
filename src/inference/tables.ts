import type { Kit } from '../platform/database/columns.ts'
import type { Manifest } from './manifest.ts'
import type { Traffic } from './registry/traffic.ts'

export const inferenceTables = ({ table, column, index, uniqueIndex }: Kit) => ({
  models: table('models', {
    name: column.text().primaryKey(),
    /** Whether it answers; else its versions wait in storage. */
    isLoaded: column.boolean().notNull(),
    traffic: column.json<Traffic>().notNull(),
    /** The last that was given: no number is ever given twice. */
    lastVersion: column.integer().notNull(),
    /** One more with each change, by which whoever has it in memory sees that it is another. */
    revision: column.integer().notNull(),
    createdAt: column.timestamp().notNull(),
    updatedAt: column.timestamp().notNull(),
  }),

  /** Never changed but for how often they were asked. */
  modelVersions: table(
    'model_versions',
    {
      /** Also the name of its folder in storage. */
      id: column.text().primaryKey(),
      modelName: column.text().notNull(),
      version: column.integer().notNull(),
      manifest: column.json<Manifest>().notNull(),
      /** Of the file. */
      digest: column.text().notNull(),
      bytes: column.integer().notNull(),
      /** Rows that were replayed at its admission, with what the library said of them. */
      examples: column.integer().notNull(),
      /** None where it came from the folder of models. */
      createdBy: column.text(),
      createdAt: column.timestamp().notNull(),
      predictedRows: column.integer().notNull(),
      usedAt: column.timestamp(),
    },
    (version) => [uniqueIndex('model_versions_number').on(version.modelName, version.version)],
  ),

  /** What was taken over from the folder of models, so that it is once, and stays removed. */
  adoptedModels: table(
    'adopted_models',
    {
      /** Of the name, the manifest and the file. */
      digest: column.text().primaryKey(),
      modelName: column.text().notNull(),
      adoptedAt: column.timestamp().notNull(),
    },
    (adopted) => [index('adopted_models_name').on(adopted.modelName)],
  ),
})

export type InferenceTables = ReturnType<typeof inferenceTables>
