/**
 * The page's side of the API. Of a model only what most functions here use; all of it is in
 * src/inference/manifest.ts.
 *
 * @typedef {{ name: string, type: string, description?: string, categories?: string[] }} Input
 * @typedef {{ name: string, kind: string, inputs: Input[], outputs: Input[] }} Model
 * @typedef {{ headline: string, caption: string, picture: Node[] }} Reading
 * @typedef {{ x: number, y: number }} Point
 */

const STATUS_INTERVAL_MS = 10_000
const STATUS_TIMEOUT_MS = 5000
const TIMEOUT_MS = 40_000
const COPIED_SHOWN_MS = 2000
const CLASSES_SHOWN_MAX = 10
const HISTORY_SHOWN_MAX = 120
const CHART_HEIGHT = 260
const TOKEN = /^[\w-]+\.[\w-]+\.[\w-]+$/

const number = new Intl.NumberFormat('en', {
  maximumFractionDigits: 2,
  maximumSignificantDigits: 4,
  roundingPriority: 'morePrecision',
})
const percent = new Intl.NumberFormat('en', { style: 'percent', minimumFractionDigits: 2 })
const short = new Intl.NumberFormat('en', { notation: 'compact', maximumSignificantDigits: 6 })
const signed = new Intl.NumberFormat('en', { signDisplay: 'exceptZero' })
const shown = (value) => (typeof value === 'number' ? number.format(value) : 'missing')

/** One that was pasted, and nowhere else: what is stored outlives the tab. Without one the cookie counts. */
let token = ''

// The page

const find = (selector, root = document) => root.querySelector(selector)

const h = (tag, attributes, ...children) =>
  filled(document.createElement(tag), attributes, children)

const svg = (tag, attributes, ...children) =>
  filled(document.createElementNS('http://www.w3.org/2000/svg', tag), attributes, children)

function filled(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value)
  node.append(...children)
  return node
}

/** Sets the text of parts of a node, each found by its class. */
function write(root, texts) {
  for (const [name, text] of Object.entries(texts)) find(`.${name}`, root).textContent = text
}

/** Does `work` when the form is sent, one at a time, and says below the form why it was refused. */
function onSubmit(form, work) {
  async function run() {
    if (form.ariaBusy === 'true') return
    form.ariaBusy = 'true'
    write(form, { message: '' })
    try {
      await work(Object.fromEntries(new FormData(form)))
    } catch (error) {
      if (!(error instanceof Refusal)) throw error
      write(form, { message: error.message })
    } finally {
      form.ariaBusy = 'false'
    }
  }
  form.addEventListener('submit', (event) => {
    event.preventDefault()
    void run()
  })
}

// The server

/** Why a request got no good answer, in words; the faults of its values one by one. */
class Refusal extends Error {
  status = 0
  /** @type {{ pointer: string, detail: string }[]} */
  faults = []
}

/** @throws {Refusal} */
async function call(path, body) {
  const isPost = body !== undefined
  const response = await fetch(path, {
    method: isPost ? 'POST' : 'GET',
    headers: {
      accept: 'application/json',
      ...(isPost && { 'content-type': 'application/json' }),
      ...(token !== '' && { authorization: `Bearer ${token}` }),
    },
    body: isPost ? JSON.stringify(body) : null,
    signal: AbortSignal.timeout(TIMEOUT_MS),
  }).catch(() => {
    throw new Refusal('The server does not answer. Is it still running?')
  })
  const answer = await response.json().catch(() => undefined)
  if (response.ok && answer !== undefined) return answer
  throw refusalOf(response, answer ?? {})
}

/** A problem document (RFC 9457) as sentences. */
function refusalOf({ status, headers }, { title, detail = '', errors = [] }) {
  const seconds = headers.get('retry-after')
  const isSaid = seconds === null || detail.includes(`${seconds} s`)
  const retry = isSaid ? '' : `Try again in ${seconds} s`
  const sentences = [title ?? `The server answered ${status} without a reason`, detail, retry]
    .filter((text) => text !== '')
    .map((text) => text.replace(/[^.!?]$/, '$&.'))
  return Object.assign(new Refusal(sentences.join(' ')), { status, faults: errors })
}

// How it is

async function showStatus() {
  if (document.hidden) return
  const { status, checks } = await readiness()
  const node = find('#status')
  // A screen reader speaks whenever the text is set, so only when it changes.
  if (node.dataset.state !== status) {
    node.dataset.state = status
    node.textContent = status.charAt(0).toUpperCase() + status.slice(1)
  }
  const items = Object.entries(checks).map(([name, state]) =>
    h('li', { 'data-state': state }, `${name} ${state}`),
  )
  find('#checks').replaceChildren(...items)
  write(document, { seen: `at ${new Date().toLocaleTimeString()}, every 10 s` })
}

async function readiness() {
  try {
    const response = await fetch('/readyz', { signal: AbortSignal.timeout(STATUS_TIMEOUT_MS) })
    const { status, checks } = await response.json()
    return checks === undefined ? { status: 'not ready', checks: {} } : { status, checks }
  } catch {
    return { status: 'out of reach', checks: {} }
  }
}

// Who you are

async function enter(candidate, who) {
  token = candidate
  try {
    const { models } = await call('/api/v1/models')
    find('#models').replaceChildren(...models.map(modelCard))
    write(document, { who: models.length > 0 ? who : `${who} There is no model.` })
  } catch (error) {
    token = ''
    throw error
  }
  showSession(true)
}

/** Whoever has signed in at the page for it has a cookie, which counts here too. */
async function enterByCookie() {
  try {
    const { username, role } = await call('/api/v1/me')
    await enter('', `Signed in as ${username} (${role}).`)
  } catch (error) {
    if (!(error instanceof Refusal)) throw error
    // That nobody is signed in is no fault; what somebody who is may not do is one.
    if (error.status !== 401) write(find('#signed-out'), { message: error.message })
  }
}

function leave(reason = '') {
  token = ''
  find('#models').replaceChildren()
  showSession(false)
  write(find('#signed-out'), { message: reason })
  find('#session-title').focus()
}

function showSession(isSignedIn) {
  find('#signed-out').hidden = isSignedIn
  find('#signed-in').hidden = !isSignedIn
  for (const node of document.querySelectorAll('.by-cookie')) node.hidden = token !== ''
  for (const node of document.querySelectorAll('.by-token')) node.hidden = token === ''
  find('#use-token').reset()
}

// What a model is asked

/** @param {Model} model */
function modelCard(model) {
  const { horizon, training_data: data } = model
  const { rows, ...figures } = model.metrics
  const card = find('#model').content.cloneNode(true)
  write(card, {
    title: model.title,
    kind: [...new Set([model.kind, model.name])].join(' · '),
    description: model.description,
    origin: `Trained on ${data.name} (${number.format(data.rows)} rows, ${data.licence})`,
    source: data.source,
    licence: `The model itself: version ${model.version}, ${model.licence}.`,
    'held-out': rows ? `Measured on ${number.format(rows)} held-out rows` : 'Measured',
  })
  const terms = Object.entries(figures).flatMap(([name, value]) => [
    h('dt', {}, name.replaceAll('_', ' ')),
    h('dd', {}, shown(value)),
  ])
  find('.metrics', card).append(...terms)
  const inputs = [...model.inputs]
  if (horizon !== undefined) {
    const description = `How many steps, 1 to ${horizon.max}; empty: ${horizon.default}`
    inputs.push({ name: 'horizon', type: 'number', description })
  }
  const fields = inputs.map((input, index) =>
    fieldOf(`${model.name}-${index}`, input, model.example[input.name]),
  )
  find('.fields', card).append(...fields.map(({ node }) => node))
  connect(model, fields, find('form', card), find('.answer', card))
  return card
}

function fieldOf(id, { name, type, description = '', categories }, example) {
  const fault = h('p', { class: 'fault', id: `${id}-fault` })
  const hint = h('p', { class: 'hint', id: `${id}-hint` }, description)
  const attributes = { id, 'aria-describedby': `${fault.id} ${hint.id}` }
  const { control, read } = controls[type](attributes, example, categories)
  const label = h('label', { for: id }, name)
  const node = h('div', { class: `field ${type}` }, label, control, fault, hint)
  function explain(text) {
    fault.textContent = text
    control.ariaInvalid = String(text !== '')
  }
  return { name, node, control, read, explain }
}

/** How a value is typed, and how it is sent. Whether it fits, the server says. */
const controls = {
  number(attributes, example = '') {
    const control = h('input', { ...attributes, type: 'number', step: 'any', value: example })
    // What is no number a browser keeps to itself, and null would pass for a missing value.
    const read = () => (control.validity.badInput ? '…' : numberOr(null, control.value))
    return { control, read }
  },
  category(attributes, example, categories) {
    const options = categories.map((category) =>
      h('option', category === example ? { selected: '' } : {}, category),
    )
    const control = h('select', attributes, h('option', {}, 'missing'), ...options)
    return { control, read: () => categories[control.selectedIndex - 1] ?? null }
  },
  series(attributes, example = []) {
    const text = example.map((value) => value ?? 'NA').join(', ')
    const control = h('textarea', { ...attributes, rows: 6, spellcheck: 'false' }, text)
    const words = () => control.value.split(/[\s,;]+/).filter((word) => word !== '')
    return { control, read: () => words().map((word) => numberOr(word, word)) }
  },
}

const numberOr = (other, text) =>
  text !== '' && Number.isFinite(Number(text)) ? Number(text) : other

/** Joins a model's form to the place where its answer is shown. */
function connect(model, fields, form, answer) {
  function clear() {
    write(form, { message: '' })
    for (const { explain } of fields) explain('')
  }
  form.addEventListener('reset', clear)
  find('.copy', answer).addEventListener('click', () => void copy(answer))
  onSubmit(form, async () => {
    clear()
    const row = Object.fromEntries(fields.map(({ name, read }) => [name, read()]))
    const request = { model_type: model.name, features: [row] }
    const startedAt = performance.now()
    try {
      const prediction = await call('/api/v1/predict', request)
      const time = `Answered in ${shown(performance.now() - startedAt)} ms, as seen from here.`
      show(answer, readings[model.kind](model, prediction, row, answer.clientWidth))
      write(answer, { time, curl: curlOf(request), json: JSON.stringify(prediction, null, 2) })
    } catch (error) {
      if (!(error instanceof Refusal)) throw error
      show(answer, undefined)
      if (error.status === 401 && answer.isConnected) leave(error.message)
      throw explained(error, fields)
    }
  })
}

/** @param {Reading} [reading] none takes the last one away */
function show(answer, reading) {
  const { headline, caption, picture } = reading ?? { headline: '', caption: '', picture: [] }
  write(answer, { headline, caption })
  find('.picture', answer).replaceChildren(...picture)
  find('.more', answer).hidden = reading === undefined
}

/** Puts each fault beside its field; what is left is for below the form. */
function explained(refusal, fields) {
  const nameIn = (pointer) => {
    const [, step = ''] = /^#\/features\/0\/([^/]+)/.exec(pointer) ?? []
    return decodeURIComponent(step).replaceAll('~1', '/').replaceAll('~0', '~')
  }
  const byName = new Map(fields.map((field) => [field.name, field]))
  const { faults } = refusal
  for (const { pointer, detail } of faults) byName.get(nameIn(pointer))?.explain(detail)
  fields.find(({ control }) => control.ariaInvalid === 'true')?.control.focus()
  const isAllSaid = faults.length > 0 && faults.every(({ pointer }) => byName.has(nameIn(pointer)))
  return isAllSaid ? new Refusal('Not predicted: see the marked values.') : refusal
}

function curlOf(request) {
  const body = JSON.stringify(request).replaceAll("'", String.raw`'\''`)
  return `curl ${location.origin}/api/v1/predict \\
  -H "Authorization: Bearer $TOKEN" \\
  -H 'Content-Type: application/json' \\
  -d '${body}'`
}

async function copy(answer) {
  const source = find('.curl', answer)
  try {
    await navigator.clipboard.writeText(source.textContent)
    write(answer, { copy: 'Copied' })
  } catch {
    // Browsers give no clipboard to a page that came over plain HTTP from another machine.
    getSelection().selectAllChildren(source)
    write(answer, { copy: 'Selected: press Ctrl+C' })
  }
  setTimeout(() => write(answer, { copy: 'Copy' }), COPIED_SHOWN_MS)
}

// What a model says

/** By kind of model: (model, prediction, row, width) → Reading. */
const readings = {
  classification({ outputs }, { predictions, probabilities: [shares] }) {
    const likely = Object.entries(shares).toSorted(([, one], [, other]) => other - one)
    const bars = likely.slice(0, CLASSES_SHOWN_MAX).map(([label, share]) => {
      const bar = svg('rect', { width: share, height: 1 })
      const box = { viewBox: '0 0 1 1', preserveAspectRatio: 'none', 'aria-hidden': true }
      const texts = [label, percent.format(share)].map((text) => h('span', {}, text))
      return h('p', { class: 'share' }, texts[0], svg('svg', box, bar), texts[1])
    })
    const others = likely.length - bars.length
    const rest = others > 0 ? [h('p', { class: 'quiet' }, `and ${others} less likely`)] : []
    const caption = outputs[0].description ?? ''
    return { headline: predictions[0], caption, picture: [...bars, ...rest] }
  },
  regression({ outputs }, { predictions }) {
    return { headline: shown(predictions[0]), caption: outputs[0].description ?? '', picture: [] }
  },
  forecast({ inputs, outputs }, { predictions: [future] }, row, width) {
    const past = row[inputs.find(({ type }) => type === 'series').name].slice(-HISTORY_SHOWN_MAX)
    const title = outputs[0].description ?? outputs[0].name
    const picture = find('#forecast').content.cloneNode(true)
    const rows = future.map((value, index) =>
      h('tr', {}, h('th', { scope: 'row' }, index + 1), h('td', {}, shown(value))),
    )
    find('tbody', picture).append(...rows)
    find('figure', picture).append(chart(past, future, width, title))
    return {
      headline: `${shown(future[0])} … ${shown(future.at(-1))}`,
      caption: `${title} (step 1 … ${future.length})`,
      picture: [picture],
    }
  },
}

/** History and forecast along one axis, on which the last value of the history stands at 0. */
function chart(history, forecast, width, title) {
  const past = pointsOf(history, 1 - history.length)
  const future = pointsOf(forecast, 1)
  const ys = [...past, ...future].map(({ y }) => y)
  const [lowest, highest] = [Math.min(...ys), Math.max(...ys)]
  const room = (highest - lowest) * 0.08 || Math.abs(highest) * 0.1 || 1
  const [low, high] = [lowest - room, highest + room]
  const [first, last] = [1 - history.length, forecast.length]
  const [left, right, top, bottom] = [52, width - 8, 8, CHART_HEIGHT - 40]
  const across = (x) => left + ((x - first) / (last - first)) * (right - left)
  const up = (y) => bottom - ((y - low) / (high - low)) * (bottom - top)

  const text = (x, y, anchor, words) => svg('text', { x, y, 'text-anchor': anchor }, words)
  const line = (name, points) => svg('path', { class: name, d: pathOf(points, across, up) })
  const levels = ticks(low, high, 5).flatMap((y) => [
    svg('path', { d: `M${left} ${up(y)}H${right}` }),
    text(left - 8, up(y) + 4, 'end', short.format(y)),
  ])
  const steps = ticks(first, last, width / 60)
    .filter((x) => Number.isInteger(x))
    .map((x) => text(across(x), bottom + 18, 'middle', signed.format(x)))
  const label = `${title}: ${past.length} values of history, then ${future.length} of forecast`
  return svg(
    'svg',
    { viewBox: `0 0 ${width} ${CHART_HEIGHT}`, role: 'img', 'aria-label': label },
    ...levels,
    ...steps,
    text((left + right) / 2, CHART_HEIGHT - 4, 'middle', 'steps after the last value of history'),
    line('past', past),
    line('future', [...past.slice(-1), ...future]),
  )
}

const pointsOf = (values, start) =>
  values.map((y, index) => ({ x: start + index, y })).filter(({ y }) => typeof y === 'number')

/** @param {Point[]} points where values are missing between them, the line breaks */
function pathOf(points, across, up) {
  const isJoined = (at) => points[at - 1]?.x === points[at].x - 1
  // The line of no length, h0, shows a point that stands alone.
  return points.map(({ x, y }, at) => `${isJoined(at) ? 'L' : 'M'}${across(x)} ${up(y)}h0`).join('')
}

/** Round numbers between two bounds, about `count` of them. */
function ticks(low, high, count) {
  const rough = (high - low) / count
  const power = 10 ** Math.floor(Math.log10(rough))
  const step = power * ([1, 2, 5].find((each) => each * power >= rough) ?? 10)
  const first = Math.ceil(low / step)
  return Array.from({ length: Math.floor(high / step) - first + 1 }, (_, at) => (first + at) * step)
}

// From here it runs

void showStatus()
setInterval(() => void showStatus(), STATUS_INTERVAL_MS)
document.addEventListener('visibilitychange', () => void showStatus())

const showVersion = ({ version }) => write(document, { version })
call('/').then(showVersion, () => {})

void enterByCookie()
onSubmit(find('#use-token'), async ({ pasted }) => {
  const trimmed = pasted.trim()
  if (!TOKEN.test(trimmed))
    throw new Refusal('That is not a token: it has three parts with dots between.')
  await enter(trimmed, 'Signed in with a token.')
  find('#session-title').focus()
})
find('#forget').addEventListener('click', () => leave())
