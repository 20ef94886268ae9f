import type { z } from 'zod'

import type { Owner, Ownership } from '../gateway/access.ts'
import { formatOf, type Manifest } from './manifest.ts'
import type { cardSchema } from './model-fields.ts'
import { MODEL } from './readable-models.ts'
import type { LiveModel } from './registry/live-models.ts'
import type { ModelRecord, Models, VersionRow } from './registry/models.ts'

/** What is told of models: what the database knows, and what this process has of it in memory. */
export interface ModelCards {
  of(models: readonly LiveModel[]): Promise<z.input<typeof cardSchema>[]>
}

export function createModelCards({
  models,
  ownership,
}: {
  models: Models
  ownership: Ownership
}): ModelCards {
  return {
    async of(live) {
      const names = live.map(({ name }) => name)
      const [records, owners] = await Promise.all([
        models.findAll(names),
        ownership.ownersOf(MODEL, names),
      ])
      const byName = new Map(records.map((record) => [record.name, record]))
      return live.flatMap((model) => {
        const record = byName.get(model.name)
        // It was removed a moment ago.
        return record === undefined ? [] : cardOf(record, model, owners.get(model.name) ?? null)
      })
    },
  }
}

function cardOf(record: ModelRecord, live: LiveModel, owner: Owner | null) {
  const { isLoaded, traffic, versions } = record
  const shown = manifestOf(record, live)
  if (shown === undefined) return []
  const { file: _, ...manifest } = shown
  const used = versions.flatMap(({ usedAt }) => usedAt?.getTime() ?? [])
  return {
    ...manifest,
    owner: owner && { id: owner.id, kind: owner.kind, name: owner.name },
    is_loaded: isLoaded && live.split.length > 0,
    traffic,
    versions: versions.map((row) => versionOf(row, live)),
    usage: {
      predicted_rows: versions.reduce((sum, { predictedRows }) => sum + predictedRows, 0),
      last_used_at: used.length === 0 ? null : new Date(Math.max(...used)).toISOString(),
    },
  }
}

/** Of the version that answers most, or else the newest. */
function manifestOf({ versions }: ModelRecord, { split }: LiveModel): Manifest | undefined {
  let [most] = split
  let share = most?.below ?? 0
  for (const [index, each] of split.entries()) {
    const own = each.below - (split[index - 1]?.below ?? 0)
    if (own > share) [most, share] = [each, own]
  }
  return most?.served.manifest ?? versions.at(-1)?.manifest
}

export const versionOf = (row: VersionRow, live: LiveModel | undefined) => ({
  version: row.version,
  is_loaded: live?.versions.has(row.version) ?? false,
  fault: live?.faults.has(row.version) === true ? 'It could not be loaded.' : null,
  format: formatOf(row.manifest),
  bytes: row.bytes,
  sha256: row.digest,
  examples: row.examples,
  created_at: row.createdAt.toISOString(),
  created_by: row.createdBy,
  usage: { predicted_rows: row.predictedRows, last_used_at: row.usedAt?.toISOString() ?? null },
})
