import type { Access, TeamAccess } from '../../gateway/access.ts'
import type { Actor, Identity } from '../../gateway/principal.ts'
import { Problem } from '../../gateway/problem.ts'
import { type Fault, invalid, problems, within } from '../../gateway/problems.ts'
import type { Storage } from '../../platform/storage/storage.ts'
import type { Admission } from '../admission/admission.ts'
import { modelName } from '../manifest.ts'
import { inferenceProblems } from '../problems.ts'
import { MODEL } from '../readable-models.ts'
import { fileKey } from './held-versions.ts'
import type { LiveModels } from './live-models.ts'
import type { Models, VersionRow } from './models.ts'
import type { ReceivedUpload } from './received-upload.ts'

interface Uploader {
  identity: Identity
  actor: Actor
}

/** Takes models in. */
export interface Uploads {
  /**
   * Whether somebody may add a version to a model, or make it.
   *
   * @returns whether there is such a model.
   * @throws {Problem} 403 theirs to read alone, 409 somebody else's.
   */
  requireRight(name: string, by: Identity): Promise<boolean>
  /**
   * Judges an upload, stores it, gives it a number and loads it. What serves goes on serving until it is
   * loaded, and if it is refused.
   *
   * @throws {Problem} 403, 409, 413, 422 with the reason, 503.
   */
  add(
    upload: ReceivedUpload,
    asked: { name: string | undefined; team: TeamAccess },
    by: Uploader,
    signal: AbortSignal,
  ): Promise<{ version: VersionRow; isNew: boolean }>
}

export function createUploads(deps: {
  access: Access
  models: Models
  live: LiveModels
  storage: Storage
  admission: Admission
}): Uploads {
  const { access, models, live, storage, admission } = deps

  async function requireRight(name: string, by: Identity): Promise<boolean> {
    if ((await models.find(name)) === undefined) return false
    const resource = { kind: MODEL, id: name }
    if (await access.mayAccess(by, 'write', resource)) return true
    if (await access.mayAccess(by, 'read', resource)) {
      throw problems.forbidden({ detail: `Only who may write ${name} adds versions to it.` })
    }
    throw inferenceProblems.conflict({ detail: `The name ${name} is taken.` })
  }

  async function add(
    upload: ReceivedUpload,
    { name: asked, team }: { name: string | undefined; team: TeamAccess },
    { identity, actor }: Uploader,
    signal: AbortSignal,
  ) {
    const name = nameOf(asked ?? upload.manifest['name'])
    const isKnown = await requireRight(name, identity)
    const { path, manifest: given, examples } = upload
    const verdict = await admission.judge({ path, name, manifest: given, examples }, signal)
    if (!verdict.isAdmitted) throw refusalOf(verdict.of, verdict.faults)
    const { manifest } = verdict
    const id = Bun.randomUUIDv7()
    const key = fileKey({ id, manifest })
    const { bytes } = await storage.put(key, Bun.file(path).stream(), {
      bytesMax: upload.bytes,
      signal,
    })
    const replayed = (examples as { predictions: unknown[] } | undefined)?.predictions.length ?? 0
    const added = { id, name, manifest, digest: upload.digest, bytes, examples: replayed }
    const addTo = (isThere: boolean) =>
      models.addVersion(added, { ownerId: identity.id, team, isKnown: isThere, actor })
    const adding = addTo(isKnown).catch(async (error: unknown) => {
      if (!isConflict(error)) throw error
      // Made or removed meanwhile, perhaps by the same person.
      return addTo(await requireRight(name, identity))
    })
    const { version, isNew } = await adding.catch(async (error: unknown) => {
      // After any other failure nobody knows whether the version is there: a stray is harmless, its lack is not.
      if (error instanceof Problem) await storage.delete(key)
      throw error
    })
    if (!isNew) await storage.delete(key)
    await live.sync(name)
    return { version, isNew }
  }

  return {
    requireRight,
    async add(upload, ...rest) {
      try {
        return await add(upload, ...rest)
      } finally {
        await Bun.file(upload.path).delete()
      }
    },
  }
}

const isConflict = (error: unknown) =>
  error instanceof Problem && error.kind === inferenceProblems.conflict.kind

function nameOf(given: unknown): string {
  const parsed = modelName.safeParse(given)
  if (parsed.success) return parsed.data
  const detail =
    given === undefined
      ? 'is missing: name the model in the query or in its manifest'
      : parsed.error.issues[0]!.message
  throw invalid([{ path: ['name'], detail }])
}

/** A file has no place in it to point to; what came with it has. */
function refusalOf(of: 'model' | 'manifest' | 'examples', faults: readonly Fault[]) {
  const placed = faults.map((fault) => within(fault, of))
  const { detail, members } = invalid(placed).options
  return inferenceProblems.refusedModel({
    ...(detail === undefined ? {} : { detail }),
    ...(members === undefined ? {} : { members }),
  })
}
