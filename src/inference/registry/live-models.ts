import type { Log } from '../../platform/log.ts'
import type { Storage } from '../../platform/storage/storage.ts'
import { Unavailable } from '../../platform/unavailable.ts'
import { inferenceProblems } from '../problems.ts'
import type { ServedModel } from '../serving/served-model.ts'
import { createAskedVersions, RETRY_MS } from './asked-versions.ts'
import { createHeldVersions } from './held-versions.ts'
import { createLines } from './lines.ts'
import type { Loader } from './loader.ts'
import { type ModelRecord, type Models, markOf, type VersionRow } from './models.ts'
import { type Traffic, versionsOf } from './traffic.ts'

/** A model as this process has it in memory. */
export interface LiveModel {
  name: string
  /** Those that answer, in the order of the split, each with the place below which it does. */
  split: readonly { served: ServedModel; below: number }[]
  shadow: ServedModel | undefined
  /** All that are in memory. */
  versions: ReadonlyMap<number, ServedModel>
  /** Why a version is not, though it should be. */
  faults: ReadonlyMap<number, string>
}

/** What this process has of the models in the database, kept as they are there. */
export interface LiveModels {
  get(name: string): LiveModel | undefined
  all(): LiveModel[]
  /**
   * Makes a model in memory what it is in the database. What does not load is told in `faults`, and what
   * served before goes on serving; requests that are under way keep what they have.
   */
  sync(name: string): Promise<void>
  /** The same for each that has changed since. */
  syncAll(): Promise<void>
  /**
   * Loads a version that no traffic leads to, for who asks for it by its number.
   *
   * @throws {Problem} 503 where it does not load.
   */
  ask(name: string, version: number): Promise<ServedModel | undefined>
  /** Told of each version that is asked for by its number while it is there, so that it stays. */
  isAskedAgain(version: ServedModel): void
  stop(): Promise<void>
}

interface Known {
  mark: string
  live: LiveModel
  /** When it was last found that not all of it can be loaded. */
  failedAt: number | undefined
}

export function createLiveModels(deps: {
  models: Models
  storage: Storage
  loader: Loader
  log: Log
  /** Versions that are in memory only since somebody asked for them by number. */
  askedMax: number
}): LiveModels {
  const { models, log } = deps
  const held = createHeldVersions(deps)
  const asked = createAskedVersions(deps.askedMax)
  const known = new Map<string, Known>()
  /** By name and version those who wait for one, who all get it at once. */
  const asking = new Map<string, Promise<ServedModel | undefined>>()
  /** By model: one change at a time, and before that one of those who ask, so that no change waits for all of them. */
  const changes = createLines()
  const askers = createLines()

  /** @returns the version, or why there is none. */
  async function tried(row: VersionRow): Promise<ServedModel | string> {
    try {
      return await held.hold(row)
    } catch (error) {
      const { modelName: model, version } = row
      log.error({ error, model, version }, 'a model can’t be loaded')
      return error instanceof Error ? error.message : String(error)
    }
  }

  async function loadWanted(record: ModelRecord) {
    const faults = new Map<number, string>()
    const versions = new Map<number, ServedModel>()
    const load = async (row: VersionRow): Promise<boolean> => {
      const served = versions.get(row.version) ?? (await tried(row))
      if (typeof served === 'string') faults.set(row.version, served)
      else versions.set(row.version, served)
      return typeof served !== 'string'
    }
    const named = new Set(versionsOf(record.traffic, undefined))
    for (const row of record.versions) if (named.has(row.version)) await load(row)
    let latest: number | undefined
    if (record.traffic.split.some(({ version }) => version === 'latest')) {
      // Of what does not load the one before is the latest that there is.
      for (const row of record.versions.toReversed()) {
        if (!(await load(row))) continue
        latest = row.version
        break
      }
    }
    return { versions, faults, latest }
  }

  async function reconcile(name: string): Promise<void> {
    const record = await models.find(name)
    const before = known.get(name)?.live
    if (record === undefined) known.delete(name)
    else known.set(name, await reconciled(record, before))
    const live = known.get(name)?.live
    const answering = new Set(live?.split.map(({ served }) => served))
    const kept = new Set(live?.versions.values())
    for (const served of held.of(name)) {
      served.shadow = answering.has(served) ? live?.shadow : undefined
      if (kept.has(served)) continue
      asked.forget(served.id)
      held.letGo(served)
    }
  }

  async function reconciled(record: ModelRecord, before: LiveModel | undefined): Promise<Known> {
    const mark = markOf(record)
    const { name } = record
    if (!record.isLoaded) {
      const live = { name, split: [], shadow: undefined, versions: new Map(), faults: new Map() }
      return { mark, live, failedAt: undefined }
    }
    const { versions, faults, latest } = await loadWanted(record)
    const split = splitOf(record.traffic, versions, latest)
    // A failed load keeps the old one serving.
    const isKept = split.length === 0 && before !== undefined
    const shown = isKept ? before : { split, shadow: shadowOf(record.traffic, versions) }
    const all = new Map([...askedOf(record), ...(isKept ? shownOf(before) : []), ...versions])
    const live = { name, split: shown.split, shadow: shown.shadow, versions: all, faults }
    return { mark, live, failedAt: faults.size > 0 ? performance.now() : undefined }
  }

  /** Those that are there still. */
  const askedOf = ({ versions }: ModelRecord) =>
    versions.flatMap(({ id, version }) => {
      const served = asked.has(id) ? held.get(id) : undefined
      return served === undefined ? [] : [[version, served] as const]
    })

  const sync = (name: string) => changes.join(name, () => reconcile(name))

  async function syncAll(): Promise<void> {
    const marks = await models.marks()
    const isRipe = (failedAt: number | undefined) =>
      failedAt !== undefined && performance.now() - failedAt > RETRY_MS
    const changed = [...new Set([...marks.keys(), ...known.keys()])].filter((name) => {
      const found = known.get(name)
      return found?.mark !== marks.get(name) || isRipe(found?.failedAt)
    })
    await Promise.all(changed.map(sync))
  }

  /** @throws {Problem} 503 */
  async function load(row: VersionRow): Promise<ServedModel | undefined> {
    const { id, modelName: name, version } = row
    const detail = `Version ${version} of "${name}" can't be loaded; the server's log says why.`
    // Each try takes a turn of every thread, and of whoever changes the model.
    if (!asked.mayLoad(id)) throw inferenceProblems.notLoaded({ detail })
    const outgoing = asked.begin(id, name)
    if (outgoing !== undefined) {
      sync(outgoing).catch((error: unknown) =>
        log.warn({ error, model: outgoing }, 'a model could not be looked at'),
      )
    }
    try {
      await held.hold(row)
      await reconcile(name)
    } catch (cause) {
      const isAway = cause instanceof Unavailable
      asked.end(id, isAway ? 'failed' : 'refused')
      throw isAway ? cause : inferenceProblems.notLoaded({ detail, cause })
    }
    asked.end(id, 'loaded')
    return known.get(name)?.live.versions.get(version)
  }

  async function find(name: string, version: number): Promise<ServedModel | undefined> {
    const found = known.get(name)?.live.versions.get(version)
    if (found !== undefined) return found
    const record = await models.find(name)
    const row = record?.versions.find((each) => each.version === version)
    return record?.isLoaded === true && row !== undefined ? load(row) : undefined
  }

  return {
    get: (name) => known.get(name)?.live,
    all: () => Array.from(known.values(), ({ live }) => live),
    sync(name) {
      asked.forgive(name)
      return sync(name)
    },
    syncAll,
    ask(name, version) {
      const key = `${name}/${version}`
      const underway = asking.get(key)
      if (underway !== undefined) return underway
      const answer = askers
        .join(name, () => changes.join(name, () => find(name, version)))
        .finally(() => asking.delete(key))
      asking.set(key, answer)
      return answer
    },
    isAskedAgain: ({ id }) => asked.touch(id),
    async stop() {
      await askers.settled()
      await changes.settled()
    },
  }
}

function splitOf(
  { split }: Traffic,
  versions: ReadonlyMap<number, ServedModel>,
  latest: number | undefined,
): LiveModel['split'] {
  const answering = split.flatMap(({ version, weight }) => {
    const number = version === 'latest' ? latest : version
    const served = number === undefined ? undefined : versions.get(number)
    return served === undefined || weight === 0 ? [] : { served, weight }
  })
  const total = answering.reduce((all, { weight }) => all + weight, 0)
  let sum = 0
  return answering.map(({ served, weight }) => ({ served, below: (sum += weight) / total }))
}

/** Those that traffic leads to. */
const shownOf = ({ split, shadow, versions }: LiveModel) =>
  [...versions].filter(([, each]) => each === shadow || split.some(({ served }) => served === each))

const shadowOf = ({ shadow }: Traffic, versions: ReadonlyMap<number, ServedModel>) =>
  shadow === null ? undefined : versions.get(shadow)
