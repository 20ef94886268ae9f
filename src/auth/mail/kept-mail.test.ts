import { afterEach, beforeEach, describe, expect, test } from 'bun:test'

import { eq } from 'drizzle-orm'

import { createTestClock, type TestClock } from '../../../tests/support/clock.ts'
import { refusal } from '../../../tests/support/refusal.ts'
import { SERVER } from '../../gateway/principal.ts'
import type { Database } from '../../platform/database/database.ts'
import { drivers } from '../../platform/database/drivers.fixture.ts'
import type { Audit } from '../audit/audit.ts'
import { createSeal } from '../keys/seal.ts'
import { createSecrets } from '../keys/secrets.ts'
import { authTables } from '../tables.ts'
import { createKeptMail, type KeptMail } from './kept-mail.ts'

const NEVER = new AbortController().signal

describe.each(drivers.map((driver) => [driver.name, driver] as const))('on %s', (_, driver) => {
  let place: Awaited<ReturnType<typeof driver.create>>
  let database: Database
  let clock: TestClock
  let kept: KeptMail
  let recorded: unknown[]
  beforeEach(async () => {
    place = await driver.create()
    database = await driver.open(place.where)
    clock = createTestClock()
    recorded = []
    const tables = authTables(database.kit)
    const audit = {
      record: async (_tx: unknown, _actor: unknown, type: string) => void recorded.push(type),
    } as unknown as Audit
    const seal = createSeal(createSecrets({ database, tables }), 'mail')
    kept = createKeptMail({ database, tables, seal, audit, clock, messagesMax: 5 })
  })
  afterEach(async () => {
    await database.close()
    await place.remove()
  })

  const send = (id: string, text = 'Öffnen: https://example.com/?ticket=1') => {
    const expiresAt = new Date(clock.now() + 60_000)
    const to = { id: 'ada', address: null }
    return kept.send({ id, to, subject: 'Hello', text, expiresAt }, NEVER)
  }

  test('what was sent can be read, which is told of', async () => {
    await send('1')
    expect(recorded).toEqual([])
    expect(await kept.show('1', SERVER)).toMatchObject({
      accountId: 'ada',
      subject: 'Hello',
      text: 'Öffnen: https://example.com/?ticket=1',
    })
    expect(recorded).toEqual(['auth.mail_shown'])
    expect(await kept.show('2', SERVER)).toBeUndefined()
    expect(recorded).toHaveLength(1)
  })

  test('of what is sent twice the later stays', async () => {
    await send('1', 'first')
    await send('1', 'second')
    expect(await kept.list({ limit: 10 })).toHaveLength(1)
    expect(await kept.show('1', SERVER)).toMatchObject({ text: 'second' })
  })

  test('a message put in the place of another is not shown', async () => {
    const { keptMail } = authTables(database.kit)
    await send('1', 'for Ada')
    await send('2', 'for Eve')
    const [second] = await database.read.select().from(keptMail).where(eq(keptMail.id, '2'))
    await database.write(async (tx) => {
      const { sealedText } = second!
      await tx.update(keptMail).set({ sealedText }).where(eq(keptMail.id, '1'))
    })
    expect(await refusal(kept.show('1', SERVER))).toBeInstanceOf(Error)
  })

  test('the newest of many stay, also of many at once', async () => {
    for (const id of ['1', '2', '3', '4', '5', '6', '7']) {
      clock.advance(1)
      await send(id)
    }
    const ids = (await kept.list({ limit: 10 })).map(({ id }) => id)
    expect(ids).toEqual(['7', '6', '5', '4', '3'])
    expect((await kept.list({ before: '5', limit: 1 })).map(({ id }) => id)).toEqual(['4'])
    await Promise.all(['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'].map((id) => send(id)))
    expect(await kept.list({ limit: 10 })).toHaveLength(5)
  })

  test('its time ends, and then it leaves the database', async () => {
    await send('1')
    clock.advance(60_000)
    expect(await kept.list({ limit: 10 })).toEqual([])
    expect(await kept.show('1', SERVER)).toBeUndefined()
    await kept.removeExpired()
    const { keptMail } = authTables(database.kit)
    expect(await database.read.select().from(keptMail)).toEqual([])
  })
})
