import { afterEach, beforeEach, describe, expect, test } from 'bun:test'

import { eq, sql } from 'drizzle-orm'

import { refusal } from '../../../tests/support/refusal.ts'
import { logContext, recorded } from '../log.ts'
import { createNoTracing } from '../tracing/none.ts'
import type { Span, Tracing } from '../tracing/tracing.ts'
import type { Database } from './database.ts'
import { drivers } from './drivers.fixture.ts'
import { traceDatabase } from './traced.ts'

const CONTEXT = {
  'trace.id': '4bf92f3577b34da6a3ce929d0e0e4736',
  'span.id': '00f067aa0ba902b7',
  [recorded]: true,
} as const

/** On every driver the same spans. */
describe.each(drivers.map((driver) => [driver.name, driver] as const))('%s', (name, driver) => {
  const { table, column } = driver.kit
  const specimens = table('specimens', { id: column.text().primaryKey(), label: column.text() })

  let place: Awaited<ReturnType<typeof driver.create>>
  let plain: Database
  let database: Database
  let spans: Span[]
  beforeEach(async () => {
    place = await driver.create()
    plain = await driver.open(place.where)
    await driver.execute(place.where, 'create table specimens (id text primary key, label text)')
    spans = []
    const tracing: Tracing = {
      driver: 'otlp',
      samples: () => true,
      record: (span) => void spans.push(span),
      async close() {},
    }
    database = traceDatabase(plain, tracing)
  })
  afterEach(async () => {
    await database.close()
    await place.remove()
  })

  const traced = <T>(work: () => T): T => logContext.run(CONTEXT, work)
  const add = (id: string) =>
    database.write(
      async (tx) => void (await tx.insert(specimens).values({ id, label: 'a secret' })),
    )
  const select = () => database.read.select().from(specimens)
  const names = () => spans.map((span) => span.name)

  test('is the very database where nothing is recorded', () => {
    expect(traceDatabase(plain, createNoTracing())).toBe(plain)
  })

  test('makes no span outside of a trace, nor in one that is not recorded', async () => {
    await add('a')
    await select()
    await logContext.run({ 'trace.id': 'a', 'span.id': 'b' }, () => add('b'))
    expect(spans).toEqual([])
  })

  test('makes one a write and one a statement, with the text and without the values', async () => {
    await traced(() => add('a'))
    expect(names()).toEqual(['insert specimens', 'write'])
    const [insert, write] = spans
    expect(write).toMatchObject({ traceId: CONTEXT['trace.id'], parentId: CONTEXT['span.id'] })
    expect(insert).toMatchObject({ parentId: write!.spanId, kind: 'client', errorType: undefined })
    expect(insert!.attributes).toMatchObject({
      'db.system.name': name === 'sqlite' ? 'sqlite' : 'postgresql',
      'db.query.text': expect.stringMatching(/^insert into "specimens"/),
    })
    expect(JSON.stringify(spans)).not.toContain('a secret')
  })

  test('makes one a statement of each kind, prepared or not', async () => {
    const prepared = select()
      .where(eq(specimens.id, sql.placeholder('id')))
      .prepare('specimen')
    await traced(async () => {
      await select()
      await prepared.execute({ id: 'a' })
      await prepared.execute({ id: 'b' })
      await database.write(async (tx) => {
        await tx.update(specimens).set({ label: 'b' }).where(eq(specimens.id, 'a'))
        await tx.delete(specimens).returning()
      })
    })
    const each = 'select specimens'
    expect(names()).toEqual([each, each, each, 'update specimens', 'delete specimens', 'write'])
  })

  test('a write waits for the one before it within its span', async () => {
    await traced(async () => {
      const first = database.write(() => Bun.sleep(20))
      await Promise.all([first, add('a')])
    })
    const writes = spans.filter((span) => span.name === 'write')
    const [first, second] = writes
    expect(writes.length).toBe(2)
    if (name === 'sqlite') expect(second!.endedAt).toBeGreaterThanOrEqual(first!.endedAt)
    expect(Math.max(...writes.map((span) => span.endedAt - span.startedAt))).toBeWithin(15, 1000)
  })

  test('a failure is told by its code, not by its text', async () => {
    await add('a')
    const error = await refusal(traced(() => add('a')))
    expect(error).toBeInstanceOf(Error)
    const code = name === 'sqlite' ? 'SQLITE_CONSTRAINT_PRIMARYKEY' : 'ERR_POSTGRES_SERVER_ERROR'
    expect(spans.map((span) => span.errorType)).toEqual([code, code])
    expect(JSON.stringify(spans)).not.toContain('a secret')
  })

  test('says no more of a statement than so many characters', async () => {
    const ids = Array.from({ length: 500 }, (_, at) => eq(specimens.id, String(at)))
    await traced(async () => void (await select().where(sql.join(ids, sql` or `))))
    expect(String(spans[0]!.attributes['db.query.text']).length).toBe(2000)
  })
})
