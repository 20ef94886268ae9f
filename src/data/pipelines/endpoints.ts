import { LRUCache } from 'lru-cache'

import type { Ownership } from '../../gateway/access.ts'
import { isNamed } from '../../gateway/file-answer.ts'
import type { FindIdentity, Principal } from '../../gateway/principal.ts'
import { createRateLimit, type RateLimit } from '../../gateway/rate-limit.ts'
import type { Cache } from '../../platform/cache/cache.ts'
import type { Limits } from '../../platform/limits/limits.ts'
import { dataProblems } from '../problems.ts'
import { type ResultFormat, resultFormats } from '../results/formats.ts'
import { typesOf } from '../results/parameters.ts'
import { answerWithResult } from '../results/result-answer.ts'
import { parametersOf } from './declared-parameters.ts'
import type { Planned } from './definition.ts'
import type { EndpointSettings } from './endpoint-settings.ts'
import { PIPELINE, type PipelineRecord } from './pipelines.ts'
import type { Planner } from './planner.ts'
import type { ReadablePipelines } from './readable-pipelines.ts'
import type { Runner } from './runner.ts'

interface Published extends PipelineRecord {
  endpoint: EndpointSettings
  definition: Planned
}

/** Pipelines that are published. */
export interface Endpoints {
  /** @throws {Problem} 404 for one that is not published, or not for this reader. */
  find(reader: Principal, name: string): Promise<Published>
  /**
   * Answers with the rows, read with the rights of its owner. An answer is kept for as long as its settings say:
   * by its parameters, and by the versions of all that it is made of.
   *
   * @throws {Problem} 422, 429, 503, 504.
   */
  ask(
    endpoint: Published,
    asked: { given: Record<string, string>; format: ResultFormat },
    reader: Principal,
    conditions: { knownEtags: string | null; signal: AbortSignal },
  ): Promise<Response>
}

/** Limits that are counted in memory; one that is forgotten begins anew. */
const LIMITS_MAX = 1000

export function createEndpoints(deps: {
  readable: ReadablePipelines
  planner: Planner
  runner: Runner
  ownership: Ownership
  identity: FindIdentity
  cache: Cache
  limits: Limits
  answerLimits: { bytesMax: number; timeoutMs: number }
}): Endpoints {
  const { readable, planner, runner, ownership, identity, cache, answerLimits } = deps
  const rateLimits = new LRUCache<string, RateLimit>({ max: LIMITS_MAX })

  function rateLimitOf({ name, endpoint: { requests_per_minute } }: Published): RateLimit {
    const key = `${name} ${requests_per_minute}`
    const known = rateLimits.get(key)
    if (known !== undefined) return known
    const made = createRateLimit({
      limits: deps.limits,
      name: `endpoint-${name}`,
      requestsPerMinute: requests_per_minute,
    })
    rateLimits.set(key, made)
    return made
  }

  /** Who has it: what they may not read any more, it does not show. */
  async function ownerOf(name: string): Promise<Principal> {
    const owner = (await ownership.ownersOf(PIPELINE, [name])).get(name)
    const found = owner === undefined ? undefined : await identity(owner.id)
    if (found?.scopes.has('datasets:read')) return found
    throw dataProblems.unknownEndpoint({
      detail: `The owner of "${name}" may not read datasets any more.`,
    })
  }

  return {
    async find(reader, name) {
      const unknown = (cause: unknown) =>
        dataProblems.unknownEndpoint({
          detail: `There is no endpoint "${name.slice(0, 64)}".`,
          cause,
        })
      const record = await readable.get(reader, name).catch((error: unknown) => {
        throw unknown(error)
      })
      const { endpoint } = record
      const { definition } = record.newest
      if (endpoint === null || 'from' in definition) throw unknown(undefined)
      return { ...record, endpoint, definition }
    },

    async ask(published, { given, format }, reader, { knownEtags, signal }) {
      const headers: Record<string, string> = {}
      await rateLimitOf(published).count(reader.id, headers)
      const { name, newest, endpoint, definition } = published
      const parameters = parametersOf(newest.parameters, given, ['query'])
      const owner = await ownerOf(name)
      const plan = await planner.plan(definition, owner, {
        parameters: typesOf(parameters),
      })
      const made = [newest.id, format, parameters, plan.datasets.map(({ id }) => id)]
      const digest = new Bun.CryptoHasher('sha256').update(JSON.stringify(made)).digest('base64url')
      const etag = `"${digest}"`
      Object.assign(headers, {
        etag,
        'cache-control': `private, max-age=${endpoint.cache_seconds}`,
      })
      const isKept = endpoint.cache_seconds > 0
      if (isKept && isNamed(etag, knownEtags)) return new Response(null, { status: 304, headers })

      const make = async (of: { signal?: AbortSignal }) =>
        runner.run(
          plan,
          { parameters, format },
          owner,
          { ...answerLimits, ...of },
          async (result, path) => (await answerWithResult(result, path, format, {})).bytes(),
        )
      const content = isKept
        ? // Others may wait for the same one, when this one does no longer.
          await cache.load(`endpoint ${digest}`, endpoint.cache_seconds, () => make({}))
        : await make({ signal })
      const { mediaType } = resultFormats[format]
      return new Response(content as Uint8Array<ArrayBuffer>, {
        headers: { ...headers, 'content-type': mediaType },
      })
    },
  }
}
