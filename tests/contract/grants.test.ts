import { afterAll, beforeAll, describe, expect, test } from 'bun:test'

import { eq } from 'drizzle-orm'

import { authTables } from '../../src/auth/tables.ts'
import { type Harness, MODELS_DIR, openHarness } from '../support/harness.ts'
import { type Row, testRequests } from '../support/request-table.ts'
import { until } from '../support/until.ts'
import { strangeMemberRows } from '../support/user-field-rows.ts'

const MODEL = 'forecast'
const GRANTS = `/api/v1/grants/model/${MODEL}`
const PREDICT = '/api/v1/predict'
const BATCH = '/api/v1/predict/batch'
const PRINCIPALS_MAX = 100
const question = { model_type: MODEL, features: [{ history: [371.3, 372.1, 372.8], horizon: 2 }] }
const patiently = { prefer: 'respond-async' }

let harness: Harness
const ids: Record<string, string> = {}
const tokens: Record<string, string> = {}
beforeAll(async () => {
  harness = await openHarness({ MODELS_DIR, ANONYMOUS_SCOPES: 'predict models:read' })
  const people = { owner: 'editor', granted: 'viewer', stranger: 'editor' } as const
  for (const [username, role] of Object.entries(people)) {
    ids[username] = await harness.addAccount({ username, role })
    tokens[username] = await harness.logIn(username)
  }
  await harness.addAccount({ username: 'mailed', email: 'mailed@example.com' })
  const me = await harness.request({ path: '/api/v1/me', token: harness.adminToken })
  ids['admin'] = ((await me.json()) as { id: string }).id
})
afterAll(() => harness.close())

type Person = 'owner' | 'granted' | 'stranger' | 'admin'
interface Share {
  owner_id?: string | null
  team: string
  principals: { id: string; access: string }[]
}
const nobodyElse: Share = { team: 'none', principals: [] }
const to = (person: Person, access: string) => ({ id: ids[person]!, access })
const put = { method: 'PUT', path: GRANTS } as const
const at = (method: 'GET' | 'PUT', path: string) =>
  method === 'GET' ? { method, path } : { method, path, body: nobodyElse }

async function share(body: Share): Promise<void> {
  const response = await harness.request({ ...put, body, token: harness.adminToken })
  expect({ status: response.status, text: await response.text() }).toMatchObject({ status: 200 })
}

describe('refusals', () => {
  beforeAll(() => share({ owner_id: ids['owner']!, team: 'none', principals: [] }))

  testRequests(
    () => harness,
    (['GET', 'PUT'] as const).flatMap((method) => [
      { name: `${method} without a token`, ...at(method, GRANTS), status: 401 },
      ...['dataset', 'models', '__proto__', 'constructor', 'a%00b', 'x'.repeat(5000)].map(
        (kind) => ({
          name: `${method} of the kind ${kind.slice(0, 20)}`,
          as: 'admin',
          ...at(method, `/api/v1/grants/${kind}/${MODEL}`),
          status: 404,
        }),
      ),
      ...['nothing', '__proto__', 'a%00b', '..%2F..%2Fetc', 'x'.repeat(5000)].map((id) => ({
        name: `${method} of the model ${id.slice(0, 20)}`,
        as: 'admin',
        ...at(method, `/api/v1/grants/model/${id}`),
        status: 404,
      })),
      {
        name: `${method} of a private model, by who may not read it`,
        as: 'stranger',
        ...at(method, GRANTS),
        status: 404,
        has: { detail: `There is no model "${MODEL}".` },
      },
    ]),
    () => tokens,
  )

  const refused = (name: string, member: string, value: unknown, pointer = `#/${member}`): Row => ({
    name,
    as: 'owner',
    ...put,
    body: { ...nobodyElse, [member]: value },
    status: 422,
    has: { errors: [{ pointer }] },
  })
  testRequests(
    () => harness,
    [
      { name: 'no body', as: 'owner', ...put, status: 415 },
      { name: 'no object', as: 'owner', ...put, body: [nobodyElse], status: 422 },
      {
        name: 'nothing for the team',
        as: 'owner',
        ...put,
        body: { principals: [] },
        status: 422,
        has: { errors: [{ pointer: '#/team' }] },
      },
      {
        name: 'no principals',
        as: 'owner',
        ...put,
        body: { team: 'none' },
        status: 422,
        has: { errors: [{ pointer: '#/principals' }] },
      },
      ...['own', 'admin', 'READ', '', null, 1, true, ['read', 'write'], { $ne: 'none' }].map(
        (value) => refused(`for the team ${JSON.stringify(value)}`, 'team', value),
      ),
      ...[null, 'all', { 0: 'x' }, 7].map((value) =>
        refused(`as principals ${JSON.stringify(value)}`, 'principals', value),
      ),
      ...['own', 'none', 'admin', null, ['read', 'write']].map((access) =>
        refused(
          `to somebody ${JSON.stringify(access)}`,
          'principals',
          [{ id: 'x', access }],
          '#/principals/0/access',
        ),
      ),
      ...[7, null, ['a', 'b'], 'x'.repeat(65), 'team', 'nobody', ''].map((id) =>
        refused(
          `to ${JSON.stringify(id)?.slice(0, 20)}`,
          'principals',
          [{ id, access: 'read' }],
          '#/principals/0/id',
        ),
      ),
      refused(
        'to somebody more than there is to say',
        'principals',
        [{ id: 'x', access: 'read', role: 'admin' }],
        '#/principals/0/role',
      ),
      refused(
        `to more than ${PRINCIPALS_MAX}`,
        'principals',
        Array.from({ length: PRINCIPALS_MAX + 1 }, (_, n) => ({ id: `x${n}`, access: 'read' })),
      ),
      ...strangeMemberRows(
        { as: 'owner', ...put },
        { ownerId: 'x', owner: 'x', access: 'write', scopes: ['grants:admin'], role: 'admin' },
        nobodyElse,
      ),
      {
        name: 'to somebody twice',
        as: 'owner',
        ...put,
        get body() {
          return { team: 'none', principals: [to('granted', 'read'), to('granted', 'write')] }
        },
        status: 422,
        has: { errors: [{ pointer: '#/principals/1/id', detail: 'is named twice' }] },
      },
      {
        name: 'to the owner',
        as: 'owner',
        ...put,
        get body() {
          return { team: 'none', principals: [to('owner', 'read')] }
        },
        status: 422,
        has: { errors: [{ pointer: '#/principals/0/id', detail: 'is the owner’s' }] },
      },
      {
        name: 'an owner who is not here',
        as: 'admin',
        ...put,
        body: { ...nobodyElse, owner_id: 'nobody' },
        status: 422,
        has: { errors: [{ pointer: '#/owner_id' }] },
      },
      {
        name: 'ASVS 5 V8.2.3: another owner, by the owner',
        as: 'owner',
        ...put,
        get body() {
          return { ...nobodyElse, owner_id: ids['stranger'] }
        },
        status: 403,
        has: { detail: 'Only administrators give it another owner.' },
      },
      {
        name: 'no owner, by the owner',
        as: 'owner',
        ...put,
        body: { ...nobodyElse, owner_id: null },
        status: 403,
      },
    ],
    () => tokens,
  )

  test('leave everything as it was', async () => {
    const response = await harness.request({ path: GRANTS, token: harness.adminToken })
    expect(await response.json()).toMatchObject({ owner_id: ids['owner'], ...nobodyElse })
  })

  describe('of who may read, and even write, and does not own it', () => {
    beforeAll(() => share({ team: 'write', principals: [to('granted', 'write')] }))
    testRequests(
      () => harness,
      [
        {
          name: 'an editor',
          as: 'stranger',
          ...put,
          body: nobodyElse,
          status: 403,
          has: { detail: 'Only its owner and administrators decide who may.' },
        },
        {
          name: 'ASVS 5 V8.2.3: an editor who takes it',
          as: 'stranger',
          ...put,
          get body() {
            return { ...nobodyElse, owner_id: ids['stranger'] }
          },
          status: 403,
        },
        {
          name: 'ASVS 5 V8.2.1: a viewer, who shares nothing',
          as: 'granted',
          ...put,
          body: nobodyElse,
          status: 403,
          has: { detail: 'This needs the scope models:write.' },
        },
      ],
      () => tokens,
    )
  })
})

describe('what can be said', () => {
  beforeAll(() => share({ owner_id: ids['owner']!, ...nobodyElse }))
  /** Beside the one of the resource, one of each person who may do more or less. */
  const eventsOf = (changes: number) => [
    'auth.grants_changed' as const,
    ...Array.from({ length: changes }, () => 'auth.grantee_changed' as const),
  ]
  const shared = (name: string, as: string, body: () => Share, changes: number): Row => ({
    name,
    as,
    ...put,
    get body() {
      return body()
    },
    status: 200,
    get has() {
      return body() as unknown as Record<string, unknown>
    },
    ...(changes > 0 ? { events: eventsOf(changes) } : {}),
  })
  testRequests(
    () => harness,
    [
      {
        name: 'by R, which boxes what is single',
        as: 'owner',
        ...put,
        get body() {
          const { id } = to('granted', 'read')
          return {
            owner_id: [ids['owner']],
            team: ['read'],
            principals: [{ id: [id], access: ['read'] }],
          }
        },
        status: 200,
        has: {
          kind: 'model',
          id: MODEL,
          team: 'read',
          principals: [{ name: 'granted', kind: 'user', access: 'read' }],
        },
        events: eventsOf(1),
      },
      shared(
        'the same by anyone, which changes nothing',
        'owner',
        () => ({
          team: 'read',
          principals: [to('granted', 'read')],
        }),
        0,
      ),
      shared(
        'another access',
        'owner',
        () => ({
          team: 'none',
          principals: [to('admin', 'read'), to('granted', 'write')],
        }),
        2,
      ),
      {
        name: 'is seen by who may read it',
        as: 'granted',
        path: GRANTS,
        status: 200,
        get has() {
          return {
            owner_id: ids['owner'],
            team: 'none',
            principals: [
              { id: ids['admin'], kind: 'user', name: 'admin', access: 'read' },
              { id: ids['granted'], kind: 'user', name: 'granted', access: 'write' },
            ],
          }
        },
        mustNotContain: ['hash', 'email', 'role'],
      },
      shared(
        'another owner, by an administrator',
        'admin',
        () => ({
          owner_id: ids['stranger']!,
          team: 'none',
          principals: [to('owner', 'write')],
        }),
        4,
      ),
      shared(
        'by the new owner, not the old one any more',
        'stranger',
        () => ({
          owner_id: ids['stranger']!,
          ...nobodyElse,
        }),
        1,
      ),
      { name: 'not by the old one', as: 'owner', ...put, body: nobodyElse, status: 404 },
      shared(
        'no owner, by an administrator',
        'admin',
        () => ({ owner_id: null, ...nobodyElse }),
        1,
      ),
      { name: 'not by who was the owner', as: 'stranger', ...put, body: nobodyElse, status: 404 },
    ],
    () => tokens,
  )

  test('what was read, sent back', async () => {
    await share({ owner_id: ids['owner']!, team: 'read', principals: [to('granted', 'read')] })
    const read = await harness.request({ path: GRANTS, token: tokens['owner'] })
    const body: unknown = await read.json()
    const sent = await harness.request({ ...put, body, token: tokens['owner'] })
    expect(await sent.json()).toEqual(body)
  })

  test(`to ${PRINCIPALS_MAX} people`, async () => {
    const names = Array.from({ length: PRINCIPALS_MAX }, (_, n) => `person-${n}`)
    const people: string[] = []
    for (const username of names) people.push(await harness.addAccount({ username }))
    await share({ team: 'none', principals: people.map((id) => ({ id, access: 'read' })) })
    const read = await harness.request({ path: GRANTS, token: harness.adminToken })
    const { principals } = (await read.json()) as { principals: { name: string }[] }
    expect(principals.map(({ name }) => name)).toEqual(names.toSorted())
  })

  test('is told, by whom and to whom', async () => {
    const body = { owner_id: ids['owner']!, team: 'read', principals: [to('granted', 'write')] }
    await share(body)
    await harness.published()
    const event = harness.events.findLast(({ type }) => type === 'auth.grants_changed')!
    const told = { kind: 'model', resource_id: MODEL, ...body }
    expect(event.data).toMatchObject({ ...told, actor_id: ids['admin'] })
    const path = '/api/v1/audit?type=auth.grants_changed&limit=1'
    const audit = await harness.request({ path, token: harness.adminToken })
    expect(await audit.json()).toMatchObject({
      entries: [{ actor: { name: 'admin' }, outcome: 'success', details: told }],
    })
  })

  test('is found by who may do more or less, with what it was and is', async () => {
    const owner_id = ids['owner']!
    await share({ owner_id, team: 'none', principals: [to('granted', 'read')] })
    await share({ owner_id, team: 'none', principals: [] })
    const path = `/api/v1/audit?principal=${ids['granted']}&type=auth.grantee_changed&limit=1`
    const audit = await harness.request({ path, token: harness.adminToken })
    const details = { kind: 'model', resource_id: MODEL, from: 'read', to: 'none' }
    expect(await audit.json()).toMatchObject({
      entries: [{ subject: { id: ids['granted'], name: 'granted' }, details }],
    })
  })
})

test('what somebody loses with their account is told', async () => {
  const id = await harness.addAccount({ username: 'leaver' })
  const owner = await harness.addAccount({ username: 'leaving owner' })
  await share({ owner_id: owner, team: 'none', principals: [{ id, access: 'write' }] })
  for (const [who, from] of [
    [id, 'write'],
    [owner, 'own'],
  ] as const) {
    const path = `/api/v1/users/${who}`
    await harness.request({ method: 'DELETE', path, token: harness.adminToken })
    const told = await harness.request({
      path: `/api/v1/audit?principal=${who}&type=auth.grantee_changed&limit=1`,
      token: harness.adminToken,
    })
    expect(await told.json()).toMatchObject({
      entries: [{ details: { kind: 'model', resource_id: MODEL, from, to: 'none' } }],
    })
  }
})

describe('by name', () => {
  const sent = async (principals: object[], as = 'owner') => {
    const body = { team: 'none', principals }
    const response = await harness.request({ ...put, body, token: tokens[as] })
    return { status: response.status, document: (await response.json()) as object }
  }
  beforeAll(async () => {
    await share({ owner_id: ids['owner']!, ...nobodyElse })
    const made = await harness.request({
      path: '/api/v1/service-accounts',
      body: { name: 'Nightly', scopes: ['predict'] },
      token: harness.adminToken,
    })
    ids['nightly'] = ((await made.json()) as { id: string }).id
  })

  test('who owns it shares it with a colleague and a program, whatever the case', async () => {
    const principals = [
      { username: ' GRANTED', access: 'read' },
      { service_account: 'nightly', access: ['write'] },
    ]
    expect(await sent(principals)).toMatchObject({
      status: 200,
      document: {
        principals: [
          { id: ids['nightly'], kind: 'service_account', name: 'Nightly', access: 'write' },
          { id: ids['granted'], kind: 'user', name: 'granted', access: 'read' },
        ],
      },
    })
  })

  test.each([
    ['nobody’s', { username: 'grante' }, 'username', 'is nobody’s user name'],
    ['a program’s as a user’s', { username: 'nightly' }, 'username', 'is nobody’s user name'],
    [
      'a user’s as a program’s',
      { service_account: 'granted' },
      'service_account',
      'is no service account’s name',
    ],
    ['an e-mail address', { username: 'mailed@example.com' }, 'username', 'is nobody’s user name'],
    ['that of a like user', { username: 'gr%nted' }, 'username', 'is nobody’s user name'],
    ['the owner’s', { username: 'owner' }, 'username', 'is the owner’s'],
    ['none', {}, 'id', 'expected one of id, username, service_account'],
    [
      'a name beside an id',
      { id: 'x', username: 'granted' },
      'username',
      'is too much: somebody is named by id already',
    ],
    ['nothing', { username: '' }, 'username', 'is nobody’s user name'],
  ])('not %s', async (_, who, member, detail) => {
    const { status, document } = await sent([{ ...who, access: 'read' }])
    const errors = [{ pointer: `#/principals/0/${member}`, detail }]
    expect({ status, ...document }).toMatchObject({ status: 422, errors })
  })

  test('nobody twice, by id and by name', async () => {
    const { status, document } = await sent([
      { id: ids['granted'], access: 'read' },
      { username: 'granted', access: 'write' },
    ])
    const errors = [{ pointer: '#/principals/1/username', detail: 'is named twice' }]
    expect({ status, ...document }).toMatchObject({ status: 422, errors })
  })

  test('a kind that is none is told with those that are', async () => {
    const path = `/api/v1/grants/report/${MODEL}`
    const answer = await harness.request({ path, token: harness.adminToken })
    expect(await answer.json()).toMatchObject({
      detail: 'There is no kind "report". There are: model, dataset, pipeline.',
    })
  })
})

describe('who sees whom it is granted to', () => {
  const namesFor = async (token: string | undefined) => {
    const response = await harness.request({ path: GRANTS, token })
    const { owner_id, team, principals } = (await response.json()) as Omit<Share, 'principals'> & {
      principals: { name: string }[]
    }
    return { owner_id, team, names: principals.map(({ name }) => name) }
  }
  const seen = (team: string, ...names: string[]) => ({ owner_id: ids['owner']!, team, names })
  const sharedWith = (team: string, access: string) =>
    share({
      owner_id: ids['owner']!,
      team,
      principals: [to('granted', access), to('admin', 'read')],
    })

  test('who may only read sees themselves alone', async () => {
    await sharedWith('read', 'read')
    expect(await namesFor(tokens['granted'])).toEqual(seen('read', 'granted'))
    expect(await namesFor(tokens['stranger'])).toEqual(seen('read'))
    for (const token of [tokens['owner'], harness.adminToken]) {
      expect(await namesFor(token)).toEqual(seen('read', 'admin', 'granted'))
    }
  })

  test('who may write sees all', async () => {
    await sharedWith('none', 'write')
    expect(await namesFor(tokens['granted'])).toEqual(seen('none', 'admin', 'granted'))
    await sharedWith('write', 'read')
    expect(await namesFor(tokens['stranger'])).toEqual(seen('write', 'admin', 'granted'))
  })
})

const everybody = ['owner', 'granted', 'stranger', 'admin', 'anonymous'] as const
/** Who may read, and who may write, for each way to share. */
const ways: {
  name: string
  share: () => Share
  read: readonly string[]
  write: readonly string[]
}[] = [
  {
    name: 'private',
    share: () => nobodyElse,
    read: ['owner', 'admin'],
    write: ['owner', 'admin'],
  },
  {
    name: 'granted to somebody to read',
    share: () => ({ team: 'none', principals: [to('granted', 'read')] }),
    read: ['owner', 'admin', 'granted'],
    write: ['owner', 'admin'],
  },
  {
    name: 'granted to somebody to write',
    share: () => ({ team: 'none', principals: [to('granted', 'write')] }),
    read: ['owner', 'admin', 'granted'],
    write: ['owner', 'admin', 'granted'],
  },
  {
    name: 'shared with the team to read',
    share: () => ({ team: 'read', principals: [] }),
    read: everybody,
    write: ['owner', 'admin'],
  },
  {
    name: 'shared with the team to read, and granted to somebody to write',
    share: () => ({ team: 'read', principals: [to('granted', 'write')] }),
    read: everybody,
    write: ['owner', 'admin', 'granted'],
  },
  {
    name: 'shared with the team to write',
    share: () => ({ team: 'write', principals: [] }),
    read: everybody,
    write: ['owner', 'admin', 'granted', 'stranger'],
  },
]

describe.each(ways.map((way) => [way.name, way] as const))('a model that is %s', (_, way) => {
  beforeAll(() => share({ owner_id: ids['owner']!, ...way.share() }))

  const unknown = { title: 'Unknown model' }
  const rowsOf = (who: string, asked: Row): Row => ({
    ...asked,
    ...(who === 'anonymous' ? {} : { as: who }),
    name: `${asked.name}, for ${who}`,
    status: way.read.includes(who) ? 200 : 404,
    ...(way.read.includes(who) ? {} : { has: unknown }),
  })
  const requests: Row[] = [
    { name: 'is described', path: `/api/v1/models/${MODEL}`, status: 200 },
    { name: 'predicts', path: PREDICT, body: question, status: 200 },
    { name: 'predicts batches', path: BATCH, body: { batches: [question] }, status: 200 },
  ]
  testRequests(
    () => harness,
    everybody.flatMap((who) => [
      ...requests.map((asked) => rowsOf(who, asked)),
      {
        name: `is listed, for ${who}`,
        ...(who === 'anonymous' ? {} : { as: who }),
        path: '/api/v1/models',
        status: 200,
        contains: ['"regression"', '"classification"'],
        ...(way.read.includes(who)
          ? { contains: ['"forecast"', '"regression"'] }
          : { mustNotContain: ['forecast'] }),
      },
    ]),
    () => tokens,
  )

  test.each(everybody.map((who) => [who]))('is written by those who may: %s', async (who) => {
    const { access, authenticate } = harness.app.auth
    const token = who === 'admin' ? harness.adminToken : tokens[who]
    const principal =
      token === undefined
        ? { kind: 'anonymous' as const, id: '203.0.113.7', scopes: new Set<never>() }
        : await authenticate(token)
    const resource = { kind: 'model', id: MODEL }
    expect(await access.mayAccess(principal, 'write', resource)).toBe(way.write.includes(who))
    expect(await access.mayAccess(principal, 'read', resource)).toBe(way.read.includes(who))
  })
})

describe('ASVS 5 V8.2.2: a model that somebody may not read', () => {
  beforeAll(() => share({ owner_id: ids['owner']!, ...nobodyElse }))

  /** All that an answer says, but what differs from one request to the next. */
  async function answer(path: string, name: string, body?: unknown): Promise<unknown> {
    const response = await harness.request({ path, body, token: tokens['stranger'] })
    const headers = [...response.headers].filter(
      ([header]) => !/^(x-request-id|traceparent|ratelimit|content-length)/.test(header),
    )
    const document = (await response.json()) as { detail: string }
    const detail = document.detail.replaceAll(`"${name}"`, '"it"')
    return { status: response.status, headers, document: { ...document, detail, instance: '' } }
  }

  test.each([
    ['described', (name: string) => [`/api/v1/models/${name}`]],
    ['asked', (name: string) => [PREDICT, { ...question, model_type: name }]],
    [
      'asked in a batch',
      (name: string) => [BATCH, { batches: [{ ...question, model_type: name }] }],
    ],
    [
      'asked with features that do not fit',
      (name: string) => [PREDICT, { model_type: name, features: {} }],
    ],
    ['whose grants are asked for', (name: string) => [`/api/v1/grants/model/${name}`]],
  ] as const)('is answered for like one that is not there: %s', async (_, ask) => {
    const ofOne = async (name: string) => {
      const [path, body] = ask(name)
      return answer(path as string, name, body)
    }
    expect(await ofOne(MODEL)).toEqual(await ofOne('nothing'))
  })

  test('is not in the list of those that there are', async () => {
    const body = { ...question, model_type: 'nothing' }
    const response = await harness.request({ path: PREDICT, body, token: tokens['stranger'] })
    const { detail } = (await response.json()) as { detail: string }
    expect(detail).toBe('There is no model "nothing". There are: classification, regression.')
  })

  test('makes one batch of several fail, and nothing is computed', async () => {
    const other = { model_type: 'nothing', features: [] }
    const batches = [question, other]
    const response = await harness.request({
      path: BATCH,
      body: { batches },
      token: tokens['stranger'],
    })
    expect(((await response.json()) as { detail: string }).detail).toContain(`"${MODEL}"`)
  })
})

describe('a batch that nobody waits for', () => {
  const batch = { batches: [question] }
  const order = (token: string | undefined) =>
    harness.request({ path: BATCH, headers: patiently, body: batch, token })
  /** As if it had been taken in while that was allowed. */
  const enqueue = (ownerId: string) => {
    const payload = { batchId: null, requests: [question] }
    const job = { type: 'predictions.batch', payload, ownerId }
    return harness.platform.database.write((tx) => harness.platform.jobs.enqueue(tx, job))
  }
  async function ended(id: string): Promise<{ state: string; error: string | null }> {
    let job: { state: string; error: string | null }
    await until(async () => {
      const path = `/api/v1/jobs/${id}`
      const response = await harness.request({ path, token: harness.adminToken })
      job = (await response.json()) as typeof job
      return job.state === 'done' || job.state === 'failed'
    })
    return job!
  }
  beforeAll(() =>
    share({ owner_id: ids['owner']!, team: 'none', principals: [to('granted', 'read')] }),
  )

  test('is taken in and done for who may read the model', async () => {
    const response = await order(tokens['granted'])
    expect(response.status).toBe(202)
    const { id } = (await response.json()) as { id: string }
    expect(await ended(id)).toMatchObject({ state: 'done' })
  })

  test('is not taken in for who may not', async () => {
    expect((await order(tokens['stranger'])).status).toBe(404)
  })

  test('is not done for who may not any more', async () => {
    const job = await ended(await enqueue(ids['stranger']!))
    expect(job).toMatchObject({ state: 'failed', error: expect.stringContaining('There is no') })
  })

  test('is not done for who is gone, or shut out', async () => {
    const id = await harness.addAccount({ username: 'shut-out', role: 'admin' })
    const disable = { method: 'PATCH', path: `/api/v1/users/${id}`, body: { disabled: true } }
    await harness.request({ ...disable, token: harness.adminToken })
    for (const owner of [id, Bun.randomUUIDv7()]) {
      expect(await ended(await enqueue(owner))).toMatchObject({
        state: 'failed',
        error: 'Its owner may not predict any more.',
      })
    }
  })
})

describe('when somebody is deleted', () => {
  const grants = async () => {
    const { grants: table } = authTables(harness.platform.database.kit)
    const rows = await harness.platform.database.read
      .select()
      .from(table)
      .where(eq(table.resourceId, MODEL))
    return rows.map(({ principalId, access }) => `${principalId} ${access}`).toSorted()
  }
  const remove = async (id: string) => {
    const path = `/api/v1/users/${id}`
    const response = await harness.request({ method: 'DELETE', path, token: harness.adminToken })
    expect(response.status).toBe(204)
  }

  test('what they were granted goes, and what they owned has no owner', async () => {
    const owner = await harness.addAccount({ username: 'leaving', role: 'editor' })
    const named = await harness.addAccount({ username: 'leaving-too' })
    const kept = to('granted', 'read')
    const principals = [{ id: named, access: 'write' }, kept]
    await share({ owner_id: owner, team: 'none', principals })
    await remove(named)
    await remove(owner)
    expect(await grants()).toEqual([`${kept.id} read`, 'team none'].toSorted())
    const read = async (token: string) => harness.request({ path: GRANTS, token })
    expect(await (await read(tokens['granted']!)).json()).toMatchObject({
      owner_id: null,
      team: 'none',
      principals: [kept],
    })
    expect((await read(tokens['stranger']!)).status).toBe(404)
  })

  test('nobody is granted anything who is deleted at the same time', async () => {
    for (let n = 0; n < 5; n++) {
      const id = await harness.addAccount({ username: `racing-${n}` })
      const body = { owner_id: null, team: 'none', principals: [{ id, access: 'read' }] }
      const [answered] = await Promise.all([
        harness.request({ ...put, body, token: harness.adminToken }),
        remove(id),
      ])
      expect([200, 422]).toContain(answered.status)
      expect(await grants()).not.toContain(`${id} read`)
    }
  })
})

test('of those who share at once one is last, and all of what they said is so', async () => {
  await share({ owner_id: null, ...nobodyElse })
  const bodies = Array.from({ length: 10 }, (_, n) => ({
    owner_id: null,
    team: n % 2 === 0 ? 'none' : 'read',
    principals: [to(n % 2 === 0 ? 'granted' : 'stranger', n % 2 === 0 ? 'read' : 'write')],
  }))
  const answers = await Promise.all(
    bodies.map((body) => harness.request({ ...put, body, token: harness.adminToken })),
  )
  expect(answers.map(({ status }) => status)).toEqual(Array(10).fill(200) as number[])
  const last = await (await harness.request({ path: GRANTS, token: harness.adminToken })).json()
  const outcomes = bodies.map(({ team, principals }) => ({ team, principals }))
  const isOne = outcomes.some((outcome) => Bun.deepMatch(outcome, last))
  expect(isOne).toBe(true)
})
