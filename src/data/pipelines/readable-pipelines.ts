import type { Access } from '../../gateway/access.ts'
import type { Principal } from '../../gateway/principal.ts'
import { problems } from '../../gateway/problems.ts'
import { dataProblems } from '../problems.ts'
import {
  PIPELINE,
  type PipelineRecord,
  type Pipelines,
  type PipelineVersionRow,
} from './pipelines.ts'

/** The pipelines as somebody sees them: one that they may not read is not there. */
export interface ReadablePipelines {
  /** @throws {Problem} 404. */
  get(reader: Principal, name: string): Promise<PipelineRecord>
  /** The newest, unless one is named. @throws {Problem} 404. */
  version(reader: Principal, name: string, version?: number): Promise<PipelineVersionRow>
  list(
    reader: Principal,
    page: { published: boolean; after: string | undefined; limit: number },
  ): Promise<PipelineRecord[]>
  /** @throws {Problem} 404 where they may not even read it, 403. */
  requireWrite(principal: Principal, name: string): Promise<PipelineRecord>
}

export function createReadablePipelines(deps: {
  pipelines: Pipelines
  access: Access
}): ReadablePipelines {
  const { pipelines, access } = deps
  access.define({
    kind: PIPELINE,
    scopes: { read: 'pipelines:read', write: 'pipelines:write' },
    team: 'none',
    exists: async (name) => (await pipelines.find(name)) !== undefined,
  })

  async function get(reader: Principal, name: string): Promise<PipelineRecord> {
    const found = await pipelines.find(name)
    const resource = { kind: PIPELINE, id: name }
    if (found !== undefined && (await access.mayAccess(reader, 'read', resource))) return found
    throw dataProblems.unknownPipeline({ detail: `There is no pipeline "${name.slice(0, 64)}".` })
  }

  return {
    get,
    async version(reader, name, version) {
      const { newest } = await get(reader, name)
      if (version === undefined || version === newest.version) return newest
      const found = await pipelines.version(name, version)
      if (found !== undefined) return found
      throw dataProblems.unknownPipeline({
        detail: `"${name}" has no version ${version}. The newest is ${newest.version}.`,
      })
    },
    list: (reader, page) =>
      pipelines.list({
        ...page,
        where: (name) => access.accessible(reader, 'read', PIPELINE).where(name),
      }),
    async requireWrite(principal, name) {
      const found = await get(principal, name)
      if (await access.mayAccess(principal, 'write', { kind: PIPELINE, id: name })) return found
      throw problems.forbidden({ detail: `Only who may write ${name} changes it.` })
    },
  }
}
