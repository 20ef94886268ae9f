import type { Access } from '../../gateway/access.ts'
import type { Principal } from '../../gateway/principal.ts'
import { problems } from '../../gateway/problems.ts'
import { dataProblems } from '../problems.ts'
import { DATASET, type DatasetRecord, type Datasets, type VersionRow } from './datasets.ts'

/** The datasets as somebody sees them: one that they may not read is not there. */
export interface ReadableDatasets {
  /** @throws {Problem} 404. */
  get(reader: Principal, name: string): Promise<DatasetRecord>
  /** The newest, unless one is named. @throws {Problem} 404. */
  version(reader: Principal, name: string, version?: number): Promise<VersionRow>
  list(
    reader: Principal,
    page: { after: string | undefined; limit: number },
  ): Promise<DatasetRecord[]>
  /** @throws {Problem} 404 where they may not even read it, 403. */
  requireWrite(principal: Principal, name: string): Promise<DatasetRecord>
}

export function createReadableDatasets(deps: {
  datasets: Datasets
  access: Access
}): ReadableDatasets {
  const { datasets, access } = deps
  access.define({
    kind: DATASET,
    scopes: { read: 'datasets:read', write: 'datasets:write' },
    team: 'none',
    exists: async (name) => (await datasets.find(name)) !== undefined,
  })

  async function get(reader: Principal, name: string): Promise<DatasetRecord> {
    const found = await datasets.find(name)
    const mayRead =
      found !== undefined && (await access.mayAccess(reader, 'read', { kind: DATASET, id: name }))
    if (!mayRead) {
      throw dataProblems.unknownDataset({ detail: `There is no dataset "${name.slice(0, 64)}".` })
    }
    return found
  }

  return {
    get,
    async version(reader, name, version) {
      const { newest } = await get(reader, name)
      if (version === undefined || version === newest.version) return newest
      const found = await datasets.version(name, version)
      if (found !== undefined) return found
      throw dataProblems.unknownDataset({
        detail: `"${name}" has no version ${version}. The newest is ${newest.version}.`,
      })
    },
    list: (reader, page) =>
      datasets.list({
        ...page,
        where: (name) => access.accessible(reader, 'read', DATASET).where(name),
      }),
    async requireWrite(principal, name) {
      const found = await get(principal, name)
      if (await access.mayAccess(principal, 'write', { kind: DATASET, id: name })) return found
      throw problems.forbidden({ detail: `Only who may write ${name} changes it.` })
    },
  }
}
