/**
 * @typedef {{ name: string, type: string, description?: string, categories?: string[] }} Input
 * @typedef {{
 *   name: string, version: string, kind: 'classification' | 'regression' | 'forecast',
 *   title: string, description: string, inputs: Input[], outputs: Input[],
 *   horizon?: { default: number, max: number }, metrics: Record<string, number>,
 *   training_data: { name: string, source: string, rows: number, licence: string },
 *   licence: string, example: Record<string, unknown>
 * }} Model
 * @typedef {(number | null)[]} Series
 * @typedef {{
 *   predictions: (string | number | Series | null)[], probabilities?: Record<string, number>[],
 *   model_version: string
 * }} Prediction
 * @typedef {HTMLInputElement | HTMLSelectElement | HTMLTextAreaElement} Control
 * @typedef {{
 *   name: string, node: Node, control: Control, read: () => unknown, explain: (fault: string) => void
 * }} Field
 * @typedef {{ headline: string, caption: string, picture: Node[] }} Reading
 * @typedef {{ pointer: string, detail: string }} Fault
 */

const STATUS_INTERVAL_MS = 10_000
const STATUS_TIMEOUT_MS = 5000
const TIMEOUT_MS = 40_000
const CLASSES_SHOWN_MAX = 10
const HISTORY_SHOWN_MAX = 120
const TOKEN = /^[\w-]+\.[\w-]+\.[\w-]+$/

/** Nowhere else: what is stored outlives the tab, and a cookie goes where it was not sent. */
let token = ''

showVersion().catch(() => {})
watchStatus()
onSubmit(find('#sign-in'), async (data) => {
  const { token, user } = await call('/api/v1/auth/login', Object.fromEntries(data))
  await enter(token, `Signed in as ${user.username} (${user.role}).`)
})
onSubmit(find('#use-token'), async (data) => {
  const pasted = String(data.get('pasted')).trim()
  if (!TOKEN.test(pasted)) throw new Refusal('That is no token: three parts with dots between.')
  await enter(pasted, 'Signed in with a token.')
})
find('#sign-out').addEventListener('click', () => leave())

// The server

/** Why a request got no good answer, in words. */
class Refusal extends Error {
  /**
   * @param {string} message
   * @param {number} [status]
   * @param {Fault[]} [faults]
   */
  constructor(message, status = 0, faults = []) {
    super(message)
    this.status = status
    this.faults = faults
  }
}

/**
 * @param {string} path
 * @param {object} [body] makes it a POST
 * @throws {Refusal}
 */
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
    throw new Refusal('The server gives no answer. Does it still run?')
  })
  const answer = await response.json().catch(() => undefined)
  if (response.ok && answer !== undefined) return answer
  throw refusalOf(response, answer ?? {})
}

/**
 * @param {Response} response
 * @param {{ title?: string, detail?: string, errors?: Fault[] }} problem
 */
function refusalOf({ status, headers }, { title, detail = '', errors }) {
  const seconds = headers.get('retry-after')
  const isSaid = seconds === null || detail.includes(`${seconds} s`)
  const parts = [
    title ?? `The server answered ${status} without a reason`,
    detail,
    isSaid ? '' : `Try again in ${seconds} s`,
  ]
  const sentences = parts
    .filter((part) => part !== '')
    .map((part) => (/[.!?]$/.test(part) ? part : `${part}.`))
  return new Refusal(sentences.join(' '), status, errors)
}

// How it is

async function showVersion() {
  const { version } = await call('/')
  find('#version').textContent = version
}

function watchStatus() {
  const look = () => {
    if (!document.hidden) void showStatus()
  }
  look()
  setInterval(look, STATUS_INTERVAL_MS)
  document.addEventListener('visibilitychange', look)
}

async function showStatus() {
  const { status, checks } = await readiness()
  const node = find('#status')
  // A screen reader speaks whenever the text is set, so only when it changes.
  if (node.dataset['state'] !== status) {
    node.dataset['state'] = status
    node.textContent = status.charAt(0).toUpperCase() + status.slice(1)
  }
  const items = Object.entries(checks).map(([name, state]) =>
    h('li', { 'data-state': state }, `${name} ${state}`),
  )
  find('#checks').replaceChildren(...items)
  find('#checked').textContent = `at ${new Date().toLocaleTimeString()}, every 10 s`
}

/** @returns {Promise<{ status: string, checks: Record<string, string> }>} */
async function readiness() {
  try {
    const response = await fetch('/readyz', { signal: AbortSignal.timeout(STATUS_TIMEOUT_MS) })
    const { status, checks } = await response.json()
    return checks === undefined ? { status: 'not ready', checks: {} } : { status, checks }
  } catch {
    return { status: 'can’t be reached', checks: {} }
  }
}

// Who you are

/**
 * @param {string} candidate
 * @param {string} who
 */
async function enter(candidate, who) {
  token = candidate
  try {
    const { models } = await call('/api/v1/models')
    find('#models').replaceChildren(...models.map(modelCard))
    find('#who').textContent = models.length > 0 ? who : `${who} There is no model.`
  } catch (error) {
    token = ''
    throw error
  }
  showSession(true)
}

/** @param {string} [reason] */
function leave(reason = '') {
  token = ''
  find('#models').replaceChildren()
  showSession(false)
  find('#sign-in .message').textContent = reason
}

/** @param {boolean} isSignedIn */
function showSession(isSignedIn) {
  find('#signed-out').hidden = isSignedIn
  find('#signed-in').hidden = !isSignedIn
  for (const form of document.forms) if (form.id !== '') form.reset()
  find(isSignedIn ? '#session-title' : '#username').focus()
}

// Models

/** @param {Model} model */
function modelCard(model) {
  const card = /** @type {HTMLTemplateElement} */ (find('#model')).content.cloneNode(true)
  const part = (/** @type {string} */ name) => find(`.${name}`, /** @type {Element} */ (card))
  const { rows, ...metrics } = model.metrics
  const { training_data: data } = model
  const texts = {
    title: model.title,
    kind: [...new Set([model.kind, model.name])].join(' · '),
    description: model.description,
    origin: `Trained on ${data.name} (${data.rows.toLocaleString('en')} rows, ${data.licence})`,
    source: data.source,
    licence: `The model: version ${model.version}, ${model.licence}.`,
    'held-out': rows ? `On ${rows.toLocaleString('en')} rows held out` : 'On rows held out',
  }
  for (const [name, text] of Object.entries(texts)) part(name).textContent = text
  const figures = Object.entries(metrics).flatMap(([name, value]) => [
    h('dt', {}, name.replaceAll('_', ' ')),
    h('dd', {}, shown(value)),
  ])
  part('metrics').append(...figures)
  const form = find('form', part('model'))
  const fields = fieldsOf(model)
  part('fields').append(...fields.map(({ node }) => node))
  connect(model, fields, form, part('answer'))
  return card
}
