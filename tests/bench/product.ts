import { join } from 'node:path'

import { spawn } from './child.ts'

const ROOT = join(import.meta.dir, '../..')

export const bun = (path: string) => [process.execPath, join(ROOT, path)]

/** What every server of this project is told: its own data, and limits that are counted but not met. */
export const productSettings = (scratch: string) => ({
  DATA_DIR: join(scratch, 'data'),
  MODELS_DIR: join(ROOT, 'tests/bench/models'),
  RATE_LIMIT_PRINCIPAL: '1000000000',
})

/** Signs in the administrator of the data that the servers of a comparison share. */
export async function signIn(scratch: string): Promise<{ authorization: string }> {
  const ADMIN_PASSWORD = Bun.randomUUIDv7()
  const command = [...bun('scripts/administrator.ts'), 'token']
  const child = spawn(command, {
    env: { ...productSettings(scratch), ADMIN_PASSWORD },
    output: 'pipe',
  })
  const token = (await new Response(child.stdout).text()).trim()
  if (token === '') throw new Error('scripts/administrator.ts made no token')
  return { authorization: `Bearer ${token}` }
}
