import { expect } from 'bun:test'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'

import { type Harness, openHarness } from './harness.ts'
import { type Lead, meet, MixedHistory, type Span } from './mixed-history.ts'
import { type MixedModel, mixedModels } from './mixed-models.ts'
import { type Asking, type Form, forms, type Outcome, send } from './mixed-requests.ts'
import { POISON } from './poison.ts'
import { until } from './until.ts'
import { upload } from './uploads.ts'

const READERS = 8
/** So that the trees with one leaf more than these are too slow for the request thread. */
const IN_PLACE_US_MAX = '2'
const RUN_TIMEOUT_MS = '600'
const POISON_INTERVAL_MS = 60
const CHANGE_INTERVAL_MS = 30
const STALL_CHECK_MS = 10
/** So long this process had no turn: a thread that answered in time may have been heard too late. */
const STALL_MS = 200
/** Older ones are removed. */
const KEPT_VERSIONS = 4
/** More than go through a model together when they are streamed. */
const MANY_ROWS = 600
const FEW_ROWS = 6
const SETTLED_MS = 20_000

interface Sent extends Span {
  form: Form
  asking: readonly Asking[]
  outcome: Outcome
}

interface Mixed extends MixedModel {
  history: MixedHistory
  isInThreads: boolean
}

const pick = <T>(from: readonly T[]): T => from[Math.floor(Math.random() * from.length)]!
const chance = (share: number) => Math.random() < share

/**
 * Sends requests of all forms to four models, which are uploaded, led, loaded anew and removed meanwhile,
 * in threads that crash and hang; and then looks at every single answer.
 */
export async function mixedLoad(extent: { requests: number; concurrency: number }): Promise<void> {
  const workerScript = new URL('unsound-worker.fixture.ts', import.meta.url)
  const harness = await openHarness(
    {
      WORKERS: '2',
      PREDICT_IN_PLACE_US_MAX: IN_PLACE_US_MAX,
      PREDICT_RUN_TIMEOUT_MS: RUN_TIMEOUT_MS,
      RATE_LIMIT_PRINCIPAL: '1000000000',
      MODEL_VERSIONS_ASKED_MAX: '3',
    },
    { workerScript },
  )
  try {
    await load(harness, extent)
  } finally {
    await harness.close()
  }
}

async function load(
  harness: Harness,
  { requests, concurrency }: { requests: number; concurrency: number },
): Promise<void> {
  const tokens = await signInAll(harness)
  const models = await openModels(harness)
  const sent: Sent[] = []
  const changes: Record<string, number> = {}
  let left = requests
  const goesOn = () => left > 0

  async function ask(form: Form, asking: readonly Asking[]): Promise<void> {
    const from = performance.now()
    const outcome = await send(harness, form, asking, pick(tokens))
    sent.push({ form, asking, outcome, from, to: performance.now() })
  }
  async function client(): Promise<void> {
    while (goesOn()) {
      left -= 1
      const form = pick(forms)
      const asked = form.isBatch ? models.filter(() => chance(0.5)) : [pick(models)]
      await ask(form, (asked.length === 0 ? models : asked).map(askingOf))
    }
  }
  async function poisoner(): Promise<void> {
    const ways = Object.entries(POISON)
    for (let count = 0; goesOn(); count += 1) {
      const model = pick(models.filter(({ isInThreads }) => isInThreads))
      const [way, poison] = ways[count % ways.length]!
      tally(changes, way)
      await model.history.poisoned(() =>
        ask(pick(forms), [{ model, rows: [0, 1], version: undefined, poison }]),
      )
      await Bun.sleep(POISON_INTERVAL_MS)
    }
  }
  async function changer(model: Mixed): Promise<void> {
    while (goesOn()) {
      tally(changes, await change(harness, model))
      await Bun.sleep(CHANGE_INTERVAL_MS)
    }
  }
  const clients = Array.from({ length: concurrency }, client)
  const stalls: Span[] = []
  const watching = watchStalls(stalls)
  await Promise.all([...clients, poisoner(), poisoner(), ...models.map(changer)])
  clearInterval(watching)

  expect(sent.length).toBeGreaterThanOrEqual(requests)
  const faults = sent.flatMap((each) => faultsOf(each, stalls) ?? [])
  expect(faults.slice(0, 5)).toEqual([])
  const refusals: Record<string, number> = {}
  for (const { outcome } of sent) {
    if (outcome.answers === undefined) tally(refusals, String(outcome.status))
  }
  process.stderr.write(
    `mixed load: ${sent.length} requests; ${JSON.stringify(changes)}; refused ${JSON.stringify(refusals)}\n`,
  )
  await expectSound(harness, models)
}

async function signInAll(harness: Harness): Promise<string[]> {
  const tokens: string[] = []
  for (let at = 0; at < READERS; at += 1) {
    await harness.addAccount({ username: `reader-${at}` })
    tokens.push(await harness.logIn(`reader-${at}`))
  }
  return tokens
}

async function openModels(harness: Harness): Promise<Mixed[]> {
  const { inPlace, inThreads } = await mixedModels(async (features) => {
    const response = await harness.request({
      path: '/api/v1/predict',
      body: { model_type: 'classification', features },
      token: harness.adminToken,
    })
    return ((await response.json()) as { probabilities: Record<string, number>[] }).probabilities
  })
  const models = [
    ...inPlace.map((model) => ({ ...model, history: new MixedHistory(), isInThreads: false })),
    ...inThreads.map((model) => ({ ...model, history: new MixedHistory(), isInThreads: true })),
  ]
  for (const model of models) {
    await addVersion(harness, model)
    await addVersion(harness, model)
  }
  return models
}

function askingOf(model: Mixed): Asking {
  const count = chance(0.02) ? MANY_ROWS : 1 + Math.floor(Math.random() * FEW_ROWS)
  const rows = Array.from({ length: count }, () => Math.floor(Math.random() * model.rows.length))
  const version = chance(0.1) ? pick(model.history.versions) : undefined
  return { model, rows, version, poison: undefined }
}

/** @returns what was done. */
async function change(harness: Harness, model: Mixed): Promise<string> {
  const { history, name } = model
  const act = async (status: number, method: string, path: string, body?: object) => {
    const response = await harness.request({ method, path, body, token: harness.adminToken })
    expect([path, response.status, await response.text()]).toEqual([
      path,
      status,
      expect.anything(),
    ])
  }
  const repository = (verb: string) => act(200, 'POST', `/v2/repository/models/${name}/${verb}`, {})
  const { versions } = history
  const removable = versions.slice(0, -KEPT_VERSIONS).filter((each) => !history.led.includes(each))
  if (removable.length > 0) {
    const [version] = removable
    const path = `/api/v1/models/${name}/versions/${version}`
    await history.remove(version!, () => act(204, 'DELETE', path))
    return 'removals'
  }
  const dice = Math.random()
  if (dice < 0.3) {
    await addVersion(harness, model)
    return 'uploads'
  }
  if (dice < 0.8) {
    const [first, second, third] = versions.toSorted(() => Math.random() - 0.5)
    const led = chance(0.5) ? [first!] : [first!, second!]
    const shadow = chance(0.5) ? third : undefined
    const lead: Lead = chance(0.3) ? 'latest' : { versions: led, shadow }
    const split = lead === 'latest' ? ['latest'] : lead.versions
    const traffic = {
      split: split.map((version) => ({ version })),
      ...(lead === 'latest' || shadow === undefined ? {} : { shadow }),
    }
    await history.lead(lead, () => act(200, 'PUT', `/api/v1/models/${name}/traffic`, traffic))
    return 'switches'
  }
  if (dice < 0.95) {
    await repository('load')
    return 'loads'
  }
  await history.absent(async () => {
    await repository('unload')
    await repository('load')
  })
  return 'unloads'
}

async function addVersion(harness: Harness, model: Mixed): Promise<void> {
  const { history, name } = model
  await history.upload(async () => {
    const version = history.uploads
    const parts = { model: model.fileOf(version), manifest: model.manifestOf(version) }
    const added = await upload(harness, parts, { query: `?name=${name}&team=read` })
    expect(added).toMatchObject({ status: 201, body: { version, fault: null } })
  })
}

function tally(counts: Record<string, number>, name: string): void {
  counts[name] = (counts[name] ?? 0) + 1
}

function watchStalls(stalls: Span[]): Timer {
  let from = performance.now()
  return setInterval(() => {
    const to = performance.now()
    if (to - from > STALL_MS) stalls.push({ from, to })
    from = to
  }, STALL_CHECK_MS)
}

/** @returns why this is not what it should be. */
function faultsOf({ form, asking, outcome, from, to }: Sent, stalls: readonly Span[]): unknown {
  const span = { from, to }
  const why = { form: forms.indexOf(form), span, asking: asking.map(shown), outcome }
  if (outcome.answers === undefined) {
    const isLate = outcome.status === 504 && stalls.some((stall) => meet(stall, span))
    return isLate || asking.some((each) => mayBeRefused(each, outcome, span)) ? undefined : why
  }
  if (outcome.answers.length !== asking.length) return why
  const areRight = asking.every((each, at) => {
    const { said, version: named } = outcome.answers[at]!
    const { model, rows, poison, version: asked } = each
    const [version, ...others] = new Set(
      said.map((answer, row) => model.versionOf(answer, rows[row]!)),
    )
    const isOne = version !== undefined && others.length === 0 && said.length === rows.length
    const isNamed = (named ?? version) === version
    const isLed =
      asked === undefined ? historyOf(model).mayAnswer(version ?? 0, span) : asked === version
    return poison === undefined && isOne && isNamed && isLed
  })
  return areRight ? undefined : why
}

function mayBeRefused(
  { model, version }: Asking,
  { status, problem = '' }: Outcome & { problem?: string },
  span: Span,
): boolean {
  const history = historyOf(model)
  if (status === 404) {
    return version !== undefined && (history.wasRemoved(version, span) || history.wasAbsent(span))
  }
  if (/not-loaded|unloaded/.test(problem)) return history.wasAbsent(span)
  const isOfThread =
    (status === 503 && /unavailable/i.test(problem)) ||
    (status === 504 && /timeout/i.test(problem)) ||
    (status === 200 && problem === 'broken off')
  return isOfThread && history.wasPoisoned(span)
}

const historyOf = (model: MixedModel) => (model as Mixed).history
const shown = ({ model, rows, ...rest }: Asking) => ({
  ...rest,
  model: model.name,
  rows: rows.slice(0, 10),
})

/** All threads are there, every version answers, and what is unloaded leaves nothing behind. */
async function expectSound(harness: Harness, models: readonly Mixed[]): Promise<void> {
  const figure = async (name: string) => {
    const text = await harness.platform.metrics.metrics()
    return Number(new RegExp(`^${name} (.*)$`, 'm').exec(text)?.[1])
  }
  await until(async () => (await figure('inference_threads')) === 2, SETTLED_MS)
  await until(async () => (await figure('inference_threads_stuck')) === 0, SETTLED_MS)
  for (const model of models) {
    for (const version of model.history.versions) {
      const asking = [{ model, rows: model.rows.map((_, row) => row), version, poison: undefined }]
      for (const form of forms) {
        const from = performance.now()
        const outcome = await send(harness, form, asking, harness.adminToken)
        expect(faultsOf({ form, asking, outcome, from, to: performance.now() }, [])).toBeUndefined()
      }
    }
  }
  const names = [...models.map(({ name }) => name), 'classification']
  for (const name of names) {
    const path = `/v2/repository/models/${name}/unload`
    const response = await harness.request({ path, body: {}, token: harness.adminToken })
    expect(response.status).toBe(200)
  }
  const copies = join(harness.platform.config.DATA_DIR, 'files', '@partial')
  await until(() => readdirSync(copies).length === 0, SETTLED_MS)
}
