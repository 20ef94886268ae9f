import { afterAll, afterEach, beforeAll, describe, expect, test } from 'bun:test'

import { asc, eq, getTableColumns, sql } from 'drizzle-orm'

import { refusal } from '../../../tests/support/refusal.ts'
import { type Database, isUniqueViolation, type Writes } from './database.ts'
import { drivers, type Place } from './drivers.fixture.ts'

/** What must hold of every driver. */
describe.each(drivers.map((driver) => [driver.name, driver] as const))('%s', (_, driver) => {
  const { table, column } = driver.kit
  const specimens = table('specimens', {
    id: column.text().primaryKey(),
    label: column.text().unique(),
    amount: column.integer(),
    ratio: column.real(),
    sound: column.boolean(),
    moment: column.timestamp(),
    document: column.json<unknown>(),
  })

  let place: Place
  let database: Database
  beforeAll(async () => {
    place = await driver.createPlace()
    database = await place.open()
    const columns = Object.values(getTableColumns(specimens)).map((column) =>
      [
        column.name,
        column.getSQLType(),
        column.primary && 'primary key',
        column.notNull && 'not null',
        column.isUnique && 'unique',
      ]
        .filter((part) => part !== false)
        .join(' '),
    )
    await place.execute(`create table specimens (${columns.join(', ')})`)
  })
  afterEach(() => database.write(async (tx) => void (await tx.delete(specimens))))
  afterAll(async () => {
    await database.close()
    await place.remove()
  })

  const insert = async (tx: Writes, id: string, label?: string) =>
    void (await tx.insert(specimens).values({ id, label }))
  const add = (id: string, label?: string) => database.write((tx) => insert(tx, id, label))
  const ids = async (from: Pick<Writes, 'select'> = database.read) => {
    const rows = await from.select({ id: specimens.id }).from(specimens).orderBy(asc(specimens.id))
    return rows.map(({ id }) => id)
  }

  describe('a write', () => {
    test('is committed when it resolves, with what its work returned', async () => {
      const returned = await database.write(async (tx) => {
        await insert(tx, 'a')
        await insert(tx, 'b')
        return 'both'
      })
      expect(returned).toBe('both')
      expect(await ids()).toEqual(['a', 'b'])
    })

    test('that throws after an await is rolled back whole', async () => {
      const reason = new Error('second thoughts')
      const thrown = await refusal(
        database.write(async (tx) => {
          await insert(tx, 'a')
          await Bun.sleep(1)
          await insert(tx, 'b')
          throw reason
        }),
      )
      expect(thrown).toBe(reason)
      expect(await ids()).toEqual([])
    })

    test('that fails by a statement is rolled back whole, and the next one works', async () => {
      await refusal(
        database.write(async (tx) => {
          await insert(tx, 'a')
          await insert(tx, 'a')
        }),
      )
      await add('b')
      expect(await ids()).toEqual(['b'])
    })

    test('is kept apart from the others at the same time', async () => {
      const settled = await Promise.allSettled(
        Array.from({ length: 50 }, (_, index) =>
          database.write(async (tx) => {
            await insert(tx, String(index).padStart(2, '0'))
            await Bun.sleep(0)
            if (index % 2 === 1) throw new Error('an odd one')
          }),
        ),
      )
      const expected = Array.from({ length: 25 }, (_, index) => String(2 * index).padStart(2, '0'))
      expect(await ids()).toEqual(expected)
      expect(settled.filter(({ status }) => status === 'fulfilled')).toHaveLength(25)
    })

    test('reads what it wrote, while readers see what is committed and do not wait', async () => {
      await add('a')
      const seen = await database.write(async (tx) => {
        await insert(tx, 'b')
        // Were the reader to wait for the writer, this would never end.
        return { inside: await ids(tx), outside: await ids() }
      })
      expect(seen).toEqual({ inside: ['a', 'b'], outside: ['a'] })
      expect(await ids()).toEqual(['a', 'b'])
    })

    test('inside a write is refused, since it would wait for itself', async () => {
      const nested = database.write(async (tx) => {
        await insert(tx, 'a')
        await add('b')
      })
      expect(await refusal(nested)).toMatchObject({
        message: expect.stringContaining('a write inside a write'),
      })
      expect(await ids()).toEqual([])
    })

    test('after a write is none inside it', async () => {
      const chained = async () => {
        await add('a')
        await add('b')
      }
      await chained()
      expect(await ids()).toEqual(['a', 'b'])
    })
  })

  describe('a unique violation', () => {
    test('is told from other failures, by the key and by an index', async () => {
      await add('a', 'taken')
      expect(isUniqueViolation(await refusal(add('a')))).toBe(true)
      expect(isUniqueViolation(await refusal(add('b', 'taken')))).toBe(true)
      expect(isUniqueViolation(await refusal(add(null as unknown as string)))).toBe(false)
      expect(isUniqueViolation(new Error('unique'))).toBe(false)
      expect(isUniqueViolation('unique')).toBe(false)
    })
  })

  describe('a value comes back as it was', () => {
    const day = Date.UTC(2024, 1, 29, 12, 34, 56, 789)
    test.each<[keyof typeof specimens.$inferInsert, unknown]>([
      ['label', ''],
      ['label', `it's "quoted", \\ and ; --`],
      ['label', 'Grüße, 世界, 🦆\n'],
      ['label', null],
      ['amount', 0],
      ['amount', -1],
      ['amount', Number.MAX_SAFE_INTEGER],
      ['amount', null],
      ['ratio', 0.1],
      ['ratio', -1.7976931348623157e308],
      ['ratio', 5e-324],
      ['ratio', 3],
      ['ratio', null],
      ['sound', true],
      ['sound', false],
      ['sound', null],
      ['moment', new Date(day)],
      ['moment', new Date(0)],
      ['moment', new Date(-1)],
      ['moment', null],
      ['document', { a: [1, { b: null }], 'c d': 'é', e: {} }],
      ['document', [1, 'two', null, [true]]],
      ['document', []],
      ['document', 'text'],
      ['document', '{"looks": "like JSON"}'],
      ['document', 1.5],
      ['document', false],
      ['document', null],
    ])('%s %p', async (name, value) => {
      await database.write(
        async (tx) => void (await tx.insert(specimens).values({ id: 'a', [name]: value })),
      )
      const [row] = await database.read.select().from(specimens)
      expect(row?.[name]).toEqual(value as never)
      expect(await ids()).toEqual(['a'])
    })
  })

  describe('a query', () => {
    test('that was prepared sees what was committed since', async () => {
      const byLabel = database.read
        .select({ id: specimens.id })
        .from(specimens)
        .where(eq(specimens.label, sql.placeholder('label')))
        .prepare('specimens_by_label')
      expect(await byLabel.execute({ label: 'x' })).toEqual([])
      await add('a', 'x')
      await add('b', `x' or 'x' = 'x`)
      expect(await byLabel.execute({ label: 'x' })).toEqual([{ id: 'a' }])
    })

    test('finds a row by each kind of value', async () => {
      const row = { amount: 7, ratio: 0.5, sound: true, moment: new Date(1_700_000_000_001) }
      await database.write(
        async (tx) => void (await tx.insert(specimens).values([{ id: 'a', ...row }, { id: 'b' }])),
      )
      for (const [name, value] of Object.entries(row)) {
        const found = await database.read
          .select({ id: specimens.id })
          .from(specimens)
          .where(eq(specimens[name as keyof typeof row], value))
        expect(found).toEqual([{ id: 'a' }])
      }
    })

    test('orders moments by time', async () => {
      const moments = [9, 10, -1].map((time, index) => ({ id: `${index}`, moment: new Date(time) }))
      await database.write(async (tx) => void (await tx.insert(specimens).values(moments)))
      const rows = await database.read.select().from(specimens).orderBy(asc(specimens.moment))
      expect(rows.map(({ moment }) => moment?.getTime())).toEqual([-1, 9, 10])
    })
  })

  describe('closing', () => {
    test('waits for the queued writes, and the rows are there at the next opening', async () => {
      const writes = Array.from({ length: 10 }, (_, index) => add(String(index)))
      await database.close()
      expect(await Promise.allSettled(writes)).toEqual(
        writes.map(() => ({ status: 'fulfilled', value: undefined })),
      )
      database = await place.open()
      expect(await ids()).toHaveLength(10)
    })

    test('makes everything after it fail', async () => {
      const closed = await place.open()
      await closed.close()
      await refusal(closed.ping())
      await refusal(closed.write(async (tx) => insert(tx, 'a')))
      await refusal(ids(closed.read))
      await closed.close()
    })
  })

  test('says that it answers, and that its schema is this version’s', async () => {
    expect(await database.ping()).toBeUndefined()
    expect(await database.requireMigrated()).toBeUndefined()
  })
})
