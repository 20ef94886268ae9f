import { z } from '@hono/zod-openapi'

import { type Fault, invalid, problems } from '../gateway/problems.ts'
import { actorOf, type Route, route } from '../gateway/route.ts'
import { scalar } from '../gateway/scalar.ts'
import { trafficSchema } from './model-fields.ts'
import { namePath } from './models.routes.ts'
import { inferenceProblems } from './problems.ts'
import type { ReadableModels } from './readable-models.ts'
import type { LiveModels } from './registry/live-models.ts'
import type { ModelRecord, Models } from './registry/models.ts'
import { type Traffic, versionsOf } from './registry/traffic.ts'

const SPLIT_MAX = 10
const WEIGHT_MAX = 1_000_000

const choice = z.union([z.int().min(1), z.literal('latest')], {
  error: 'expected the number of a version, or latest',
})
const wanted = z.strictObject({
  split: z
    .array(
      z.strictObject({
        version: scalar(choice),
        weight: scalar(z.number().min(0).max(WEIGHT_MAX)).default(1),
      }),
    )
    .min(1, 'expected at least one version')
    .max(SPLIT_MAX, `expected at most ${SPLIT_MAX} versions`),
  shadow: scalar(z.int().min(1).nullish()),
})

const example = {
  split: [
    { version: 2, weight: 90 },
    { version: 3, weight: 10 },
  ],
  shadow: 4,
}
const path = '/api/v1/models/{name}/traffic'

/** Which versions of a model answer: the latest, a pinned one, or several by weight; and which only listens. */
export function trafficRoutes(deps: {
  readable: ReadableModels
  models: Models
  live: LiveModels
}): Route[] {
  const { readable, models, live } = deps

  async function recordOf(name: string): Promise<ModelRecord> {
    const record = await models.find(name)
    if (record === undefined) throw inferenceProblems.unknownModel()
    return record
  }

  /** @throws {Problem} 503 where one does not load: nothing is led there. */
  async function requireLoadable(traffic: Traffic, name: string): Promise<void> {
    for (const version of versionsOf(traffic, undefined)) await live.ask(name, version)
  }

  return [
    route(
      {
        method: 'get',
        path,
        access: 'models:read',
        tag: 'models',
        summary: 'See which versions answer',
        pathParameters: namePath,
        answers: { 200: { description: 'As it was set', schema: trafficSchema, example } },
        problems: [inferenceProblems.unknownModel, problems.unavailable],
      },
      async ({ path: { name } }, { principal }) => {
        await readable.get(principal, name)
        const { traffic } = await recordOf(name)
        return { body: traffic }
      },
    ),

    route(
      {
        method: 'put',
        path,
        access: 'models:write',
        tag: 'models',
        summary: 'Decide which versions answer',
        description:
          'Each of `split` answers its share of the weights; who is signed in always gets the same one. `shadow` is asked for the same rows after all others, and heard by nobody: the metrics tell how far it is off. At the answer this instance serves accordingly, the others a moment later.',
        pathParameters: namePath,
        body: { schema: wanted, example },
        answers: { 200: { description: 'It is so', schema: trafficSchema, example } },
        problems: [
          inferenceProblems.unknownModel,
          inferenceProblems.notLoaded,
          inferenceProblems.conflict,
          problems.unavailable,
        ],
      },
      async ({ path: { name }, body }, context) => {
        await readable.requireWrite(context.principal, name)
        const traffic: Traffic = { split: body.split, shadow: body.shadow ?? null }
        const record = await recordOf(name)
        const faults = faultsOf(traffic, record)
        if (faults.length > 0) throw invalid(faults)
        if (record.isLoaded) await requireLoadable(traffic, name)
        await models.setTraffic(name, traffic, actorOf(context))
        await live.sync(name)
        return { body: traffic }
      },
    ),
  ]
}

function faultsOf({ split, shadow }: Traffic, { versions }: ModelRecord): Fault[] {
  const numbers = new Set(versions.map(({ version }) => version))
  const faults: Fault[] = []
  const seen = new Set<unknown>()
  for (const [index, { version }] of split.entries()) {
    const path = ['split', index, 'version']
    if (seen.has(version)) faults.push({ path, detail: 'stands twice' })
    seen.add(version)
    if (version !== 'latest' && !numbers.has(version)) {
      faults.push({ path, detail: `there is no version ${version}` })
    }
  }
  if (split.every(({ weight }) => weight === 0)) {
    faults.push({ path: ['split'], detail: 'leads nowhere: every weight is 0' })
  }
  if (shadow !== null && !numbers.has(shadow)) {
    faults.push({ path: ['shadow'], detail: `there is no version ${shadow}` })
  }
  if (shadow !== null && seen.has(shadow)) {
    faults.push({ path: ['shadow'], detail: 'answers already' })
  }
  return faults
}
