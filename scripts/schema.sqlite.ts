// What `scripts/migrations` compares with the migrations that are there, for SQLite.
import { authTables } from '../src/auth/tables.ts'
import { dataTables } from '../src/data/tables.ts'
import { inferenceTables } from '../src/inference/tables.ts'
import { sqliteKit } from '../src/platform/database/columns.ts'
import { jobTables } from '../src/platform/jobs/tables.ts'
import { outboxTables } from '../src/platform/outbox/tables.ts'

export const {
  accounts,
  apiKeys,
  audit,
  grants,
  identities,
  keptMail,
  knownAddresses,
  passkeys,
  recoveryCodes,
  revokedTokens,
  secrets,
  serviceAccounts,
  sessions,
  signingKeys,
  throttles,
  tickets,
  totp,
} = authTables(sqliteKit)
export const {
  datasetFiles,
  datasets,
  datasetVersions,
  pipelineRuns,
  pipelines,
  pipelineVersions,
} = dataTables(sqliteKit)
export const { adoptedModels, models, modelVersions } = inferenceTables(sqliteKit)
export const { jobs, schedules } = jobTables(sqliteKit)
export const { outbox, relays } = outboxTables(sqliteKit)
