import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'bun:test'
import { cpSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'

import { asc, eq, getTableColumns, sql } from 'drizzle-orm'

import { refusal } from '../../../tests/support/refusal.ts'
import { logContext } from '../log.ts'
import { StartError } from '../start-error.ts'
import { type Database, isUniqueViolation, type Writes } from './database.ts'
import { drivers } from './drivers.fixture.ts'

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

  let place: Awaited<ReturnType<typeof driver.create>>
  let database: Database
  const open = () => driver.open(place.where)
  beforeAll(async () => {
    place = await driver.create()
    database = await open()
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
    await driver.execute(place.where, `create table specimens (${columns.join(', ')})`)
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

  describe('a locked row', () => {
    test('stays as it was until the commit', async () => {
      await add('a', 'before')
      const seen: (string | null)[] = []
      const locking = database.write(async (tx) => {
        const label = async () => (await tx.select().from(specimens))[0]!.label
        await database.lock(tx.select().from(specimens).where(eq(specimens.id, 'a')))
        seen.push(await label())
        await Bun.sleep(50)
        seen.push(await label())
      })
      await Bun.sleep(10)
      await database.write(async (tx) => {
        await tx.update(specimens).set({ label: 'after' })
      })
      await locking
      expect(seen).toEqual(['before', 'before'])
    })

    test('can be passed over by who does not want to wait, on a database that writes side by side', async () => {
      await add('a')
      await add('b')
      const free = async (tx: Writes) =>
        database.lock(tx.select().from(specimens).orderBy(asc(specimens.id)).limit(1), {
          skipLocked: true,
        })
      const both = await Promise.all(
        [1, 2].map(() =>
          database.write(async (tx) => {
            const [row] = await free(tx)
            await Bun.sleep(50)
            return row?.id
          }),
        ),
      )
      expect(new Set(both)).toEqual(new Set(driver.name === 'postgres' ? ['a', 'b'] : ['a']))
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

  describe('a signal', () => {
    const HEARD_WITHIN_MS = 200
    /** Listens, and forgets what was heard until now. */
    async function listen(channel: string) {
      let heard = 0
      const stop = await database.listen(channel, () => (heard += 1))
      await Bun.sleep(20)
      heard = 0
      return { heard: () => heard, stop }
    }

    test('is heard as nobody’s request: what follows from it is not the signaller’s', async () => {
      const contexts: unknown[] = []
      const stop = await database.listen('a', () => contexts.push(logContext.getStore()))
      const context = { 'trace.id': 'a trace', 'span.id': 'a span' }
      await logContext.run(context, () => database.write((tx) => database.signal(tx, 'a')))
      while (contexts.length === 0) await Bun.sleep(1)
      expect(contexts).toEqual([undefined])
      await stop()
    })

    test('is heard after the commit, once a write, by every listener of its channel', async () => {
      const [one, other, elsewhere] = [await listen('a'), await listen('a'), await listen('b')]
      await database.write(async (tx) => {
        await insert(tx, 'a')
        await database.signal(tx, 'a')
        await database.signal(tx, 'a')
        await Bun.sleep(20)
        expect(one.heard()).toBe(0)
      })
      await Bun.sleep(HEARD_WITHIN_MS)
      expect([one.heard(), other.heard(), elsewhere.heard()]).toEqual([1, 1, 0])
      await Promise.all([one.stop(), other.stop(), elsewhere.stop()])
    })

    test('of a write that failed is not heard', async () => {
      const { heard, stop } = await listen('a')
      await refusal(
        database.write(async (tx) => {
          await database.signal(tx, 'a')
          throw new Error('second thoughts')
        }),
      )
      await add('a')
      await Bun.sleep(HEARD_WITHIN_MS)
      expect(heard()).toBe(0)
      await stop()
    })

    test('is not heard by who has stopped', async () => {
      const { heard, stop } = await listen('a')
      await stop()
      await database.write((tx) => database.signal(tx, 'a'))
      await Bun.sleep(HEARD_WITHIN_MS)
      expect(heard()).toBe(0)
    })
  })

  describe('closing', () => {
    test('waits for the queued writes, and the rows are there at the next opening', async () => {
      const writes = Array.from({ length: 10 }, (_, index) => add(String(index)))
      await database.close()
      expect(await Promise.allSettled(writes)).toEqual(
        writes.map(() => ({ status: 'fulfilled', value: undefined })),
      )
      database = await open()
      expect(await ids()).toHaveLength(10)
    })

    test('makes everything after it fail', async () => {
      const closed = await open()
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

/** Each takes under a second where nothing else runs. */
const PROCESSES_TIMEOUT_MS = 30_000
const root = join(import.meta.dir, '..', '..', '..')

describe.each(drivers.map((driver) => [driver.name, driver] as const))('%s', (name, driver) => {
  let place: Awaited<ReturnType<typeof driver.create>>
  let scratch: string
  beforeEach(async () => {
    place = await driver.create()
    scratch = mkdtempSync(join(tmpdir(), 'quintet-database-'))
  })
  afterEach(async () => {
    await place.remove()
    rmSync(scratch, { recursive: true, force: true })
  })
  const query = (statement: string) => driver.execute(place.where, statement)
  const openAndClose = async () => (await driver.open(place.where)).close()

  /** A process that writes `count` rows, and says the id of each. */
  const startWriter = (count: number, signal: string[] = []) =>
    Bun.spawn(
      [process.execPath, join(import.meta.dir, 'writer.fixture.ts'), name, place.where]
        .concat(String(count))
        .concat(signal),
      { stdout: 'pipe', stderr: 'pipe' },
    )

  describe('the schema', () => {
    const migrations = () => query('select hash, created_at from schema_migrations')

    test('is left as it is when it is the latest', async () => {
      await openAndClose()
      const before = await migrations()
      await openAndClose()
      expect(await migrations()).toEqual(before)
      expect(before).not.toEqual([])
    })

    test('of a newer version is refused, and left as it is', async () => {
      await openAndClose()
      await query(`insert into schema_migrations (hash, created_at) values ('', 4102444800000)`)
      const before = await migrations()
      const error = await refusal(driver.open(place.where))
      expect(error).toBeInstanceOf(StartError)
      expect(String(error)).toContain('was written by a newer version of Quintet')
      expect(await migrations()).toEqual(before)
    })

    test('that changes under a running process is noticed', async () => {
      const database = await driver.open(place.where)
      await database.requireMigrated()
      await query(`insert into schema_migrations (hash, created_at) values ('', 4102444800000)`)
      expect(String(await refusal(database.requireMigrated()))).toContain('of another version')
      await database.close()
    })

    test(
      'is what the features declare',
      async () => {
        const committed = join(import.meta.dir, 'migrations', name)
        cpSync(committed, scratch, { recursive: true })
        const { stdout, exitCode } = Bun.spawnSync(
          [process.execPath, '--bun', 'drizzle-kit', 'generate']
            .concat(['--dialect', name === 'sqlite' ? 'sqlite' : 'postgresql'])
            .concat(['--casing', 'snake_case'])
            .concat(['--schema', `scripts/schema.${name}.ts`, '--out', relative(root, scratch)]),
          { cwd: root, stderr: 'pipe' },
        )
        // A table without its migration: run scripts/migrations with a name for the change.
        expect(stdout.toString()).toContain('No schema changes')
        expect(exitCode).toBe(0)
        expect(readdirSync(scratch).toSorted()).toEqual(readdirSync(committed).toSorted())
      },
      PROCESSES_TIMEOUT_MS,
    )
  })

  test(
    'four processes open one empty database at once',
    async () => {
      const signal = join(scratch, 'signal')
      const writers = Array.from({ length: 4 }, () => startWriter(5, [signal]))
      await Bun.sleep(300)
      writeFileSync(signal, '')
      const ends = writers.map(async ({ stderr, exited }) => ({
        code: await exited,
        said: await stderr.text(),
      }))
      expect(await Promise.all(ends)).toEqual(writers.map(() => ({ code: 0, said: '' })))
      expect(Number((await query('select count(*) from rows'))[0])).toBe(40)
      const repeated = 'select count(*) - count(distinct hash) from schema_migrations'
      expect(Number((await query(repeated))[0])).toBe(0)
    },
    PROCESSES_TIMEOUT_MS,
  )

  test(
    'a killed process loses nothing that it has acknowledged, and tears nothing',
    async () => {
      const acknowledged: string[] = []
      for (let round = 0; round < 3; round += 1) {
        const writer = startWriter(1e9)
        let said = ''
        for await (const chunk of writer.stdout) {
          said += Buffer.from(chunk).toString()
          if (said.length > 37 * (20 + 7 * round)) writer.kill('SIGKILL')
        }
        acknowledged.push(...said.split('\n').slice(0, -1))
        await openAndClose()
      }
      const kept = new Set(await query('select id from rows'))
      expect(acknowledged.filter((id) => !kept.has(id))).toEqual([])
      expect(acknowledged.length).toBeGreaterThan(60)
      const whole = [...kept].every((id) => kept.has(String(id).replace(/( again)?$/, ' again')))
      expect(whole).toBe(true)
    },
    PROCESSES_TIMEOUT_MS,
  )
})
