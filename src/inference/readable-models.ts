import type { Access } from '../gateway/access.ts'
import type { Principal } from '../gateway/principal.ts'
import type { Problem } from '../gateway/problem.ts'
import { problems } from '../gateway/problems.ts'
import { inferenceProblems } from './problems.ts'
import type { LiveModel, LiveModels } from './registry/live-models.ts'
import { placeOf } from './registry/traffic.ts'
import type { ServedModel } from './serving/served-model.ts'

export const MODEL = 'model'

/** A version by its number, as it stands in addresses; without one, whichever traffic leads to. */
type Version = string | undefined

/** The models as somebody sees them: one that they may not read is not there. */
export interface ReadableModels {
  /**
   * What answers this reader, so that it stays until it is given back. At once for a model that was asked
   * for a moment ago.
   *
   * @throws {Problem} 404 none, 503 not loaded.
   */
  borrow(reader: Principal, name: string, version?: Version): ServedModel | Promise<ServedModel>
  /** The same, to look at and not to ask. */
  look(reader: Principal, name: string, version?: Version): Promise<ServedModel>
  /** @throws {Problem} 404. */
  get(reader: Principal, name: string): Promise<LiveModel>
  list(reader: Principal): Promise<LiveModel[]>
  /** @throws {Problem} 404 where they may not even read it, 403. */
  requireWrite(principal: Principal, name: string): Promise<void>
}

export function createReadableModels(deps: {
  live: LiveModels
  access: Access
  /** Whether the database has such a model, which may not be here yet. */
  exists: (name: string) => Promise<boolean>
}): ReadableModels {
  const { live, access, exists } = deps
  access.define({
    kind: MODEL,
    scopes: { read: 'models:read', write: 'models:write' },
    team: 'read',
    exists,
  })

  async function list(reader: Principal): Promise<LiveModel[]> {
    const all = live.all()
    const names = all.map(({ name }) => name)
    const readable = await access.accessible(reader, 'read', MODEL).among(names)
    return all
      .filter(({ name }) => readable.has(name))
      .toSorted((a, b) => (a.name < b.name ? -1 : 1))
  }

  /** In the same words whether there is none, or none for this reader. */
  async function unknown(reader: Principal, name: string): Promise<Problem> {
    const names = (await list(reader)).map((model) => model.name)
    const known = names.length === 0 ? '' : ` There are: ${names.join(', ')}.`
    return inferenceProblems.unknownModel({ detail: `There is no model "${name}".${known}` })
  }

  async function get(reader: Principal, name: string): Promise<LiveModel> {
    const found = live.get(name)
    const mayRead =
      found !== undefined && (await access.mayAccess(reader, 'read', { kind: MODEL, id: name }))
    if (!mayRead) throw await unknown(reader, name)
    return found
  }

  /** @returns what is in memory of what is asked for. */
  function pick({ name, split, versions }: LiveModel, reader: Principal, version: Version) {
    if (version !== undefined) {
      const numbered = isNumber(version) ? versions.get(Number(version)) : undefined
      if (numbered !== undefined) live.isAskedAgain(numbered)
      return numbered
    }
    if (split.length === 1) return split[0]!.served
    const place = placeOf(reader, name)
    return split.find(({ below }) => place < below)?.served
  }

  /** @param take is done with it before anything else is: a moment later it could be gone. */
  async function lookLater(
    reader: Principal,
    { name, version }: { name: string; version: Version },
    mayRead: boolean | Promise<boolean>,
    take: Take,
  ): Promise<ServedModel> {
    const model = (await mayRead) ? live.get(name) : undefined
    if (model === undefined) throw await unknown(reader, name)
    const found = pick(model, reader, version)
    if (found !== undefined) return take(found)
    if (version === undefined || !isNumber(version)) throw absent(model, version)
    const asked = await live.ask(name, Number(version))
    if (asked === undefined) throw absent(model, version)
    return take(asked)
  }

  function look(reader: Principal, name: string, version: Version, take: Take) {
    const model = live.get(name)
    if (model === undefined) return lookLater(reader, { name, version }, false, take)
    const mayRead = access.mayAccess(reader, 'read', { kind: MODEL, id: name })
    const found = mayRead === true ? pick(model, reader, version) : undefined
    return found === undefined ? lookLater(reader, { name, version }, mayRead, take) : take(found)
  }

  return {
    borrow: (reader, name, version) => look(reader, name, version, borrowed),
    look: async (reader, name, version) => look(reader, name, version, (model) => model),
    get,
    list,
    async requireWrite(principal, name) {
      await get(principal, name)
      if (await access.mayAccess(principal, 'write', { kind: MODEL, id: name })) return
      throw problems.forbidden({ detail: `Only who may write ${name} changes it.` })
    },
  }
}

type Take = (model: ServedModel) => ServedModel

function borrowed(model: ServedModel): ServedModel {
  model.borrow()
  return model
}

const isNumber = (version: string) => /^[1-9]\d{0,14}$/.test(version)

function absent({ name, split, faults }: LiveModel, version: Version): Problem {
  if (version !== undefined) {
    return inferenceProblems.unknownModel({
      detail: `There is no version ${version} of "${name}" that could be asked.`,
    })
  }
  const detail =
    split.length === 0 && faults.size === 0
      ? `"${name}" is unloaded.`
      : `"${name}" can't be loaded; the server's log says why.`
  return inferenceProblems.notLoaded({ detail })
}
