import type { Access } from '../gateway/access.ts'
import type { Principal } from '../gateway/principal.ts'
import type { Problem } from '../gateway/problem.ts'
import { inferenceProblems } from './problems.ts'
import type { ServedModel } from './served-model.ts'

const KIND = 'model'

/** The models as somebody sees them: one that they may not read is not there. */
export interface ReadableModels {
  /**
   * At once for a model that was asked for a moment ago.
   *
   * @throws {Problem} 404.
   */
  get(reader: Principal, name: string): ServedModel | Promise<ServedModel>
  list(reader: Principal): Promise<ServedModel[]>
}

export function createReadableModels(deps: {
  models: ReadonlyMap<string, ServedModel>
  access: Access
}): ReadableModels {
  const { models, access } = deps
  access.define({
    kind: KIND,
    scopes: { read: 'models:read', write: 'models:write' },
    // It comes from a folder, so it belongs to nobody.
    team: 'read',
    exists: (name) => models.has(name),
  })

  async function list(reader: Principal): Promise<ServedModel[]> {
    const readable = await access.accessible(reader, 'read', KIND).among([...models.keys()])
    return [...models.values()].filter(({ manifest }) => readable.has(manifest.name))
  }

  /** In the same words whether there is none, or none for this reader. */
  async function unknown(reader: Principal, name: string): Promise<Problem> {
    const names = (await list(reader)).map(({ manifest }) => manifest.name)
    const known = names.length === 0 ? '' : ` There are: ${names.join(', ')}.`
    return inferenceProblems.unknownModel({ detail: `There is no model "${name}".${known}` })
  }

  async function getLater(
    reader: Principal,
    name: string,
    mayRead: boolean | Promise<boolean>,
  ): Promise<ServedModel> {
    if (await mayRead) return models.get(name)!
    throw await unknown(reader, name)
  }

  return {
    get(reader, name) {
      const model = models.get(name)
      if (model === undefined) return getLater(reader, name, false)
      const mayRead = access.mayAccess(reader, 'read', { kind: KIND, id: name })
      return mayRead === true ? model : getLater(reader, name, mayRead)
    },
    list,
  }
}
