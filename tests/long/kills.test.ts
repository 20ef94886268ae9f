import { expect, test } from 'bun:test'

import { killedDatabases } from '../support/killed-databases.ts'
import { killInMidWrite } from '../support/kills.ts'

const ROUNDS = 50

test.each(killedDatabases)(
  'an instance that is killed in mid-write on %s loses nothing that it acknowledged, and tears nothing',
  async (_, openDatabase) => {
    const database = await openDatabase()
    await killInMidWrite(database, ROUNDS)
    await database.remove()
    expect.hasAssertions()
  },
)
