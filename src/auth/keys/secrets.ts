import { hkdfSync } from 'node:crypto'

import { eq } from 'drizzle-orm'

import type { Database } from '../../platform/database/database.ts'
import type { AuthTables } from '../tables.ts'

const NAME = 'root'
const SECRET_BYTES = 32

/** What the server alone knows, the same in every process: it lives in the database, made at the first start. */
export interface Secrets {
  /** Makes the secret at the first start, so that no request has to. */
  ensure(): Promise<void>
  /** A key of 32 bytes for one purpose; from it neither the secret nor another purpose's key can be told. */
  keyFor(purpose: string): Promise<Buffer>
}

export function createSecrets(deps: { database: Database; tables: AuthTables }): Secrets {
  const { database } = deps
  const { secrets } = deps.tables
  let root: Promise<Buffer> | undefined

  async function load(): Promise<Buffer> {
    const stored = async () => {
      const [row] = await database.read.select().from(secrets).where(eq(secrets.name, NAME))
      return row?.value
    }
    let value = await stored()
    if (value === undefined) {
      const made = crypto.getRandomValues(Buffer.alloc(SECRET_BYTES)).toString('base64url')
      await database.write(async (tx) => {
        await tx.insert(secrets).values({ name: NAME, value: made }).onConflictDoNothing()
      })
      // Another process may have been first.
      value = await stored()
    }
    return Buffer.from(value!, 'base64url')
  }

  const loaded = () =>
    (root ??= load().catch((error: unknown) => {
      // The next one who asks tries again.
      root = undefined
      throw error
    }))

  return {
    async ensure() {
      await loaded()
    },
    async keyFor(purpose) {
      return Buffer.from(hkdfSync('sha256', await loaded(), '', purpose, SECRET_BYTES))
    },
  }
}
