// What scripts/token and scripts/admin do: both need the database in DATA_DIR, and no running server.
import { createAuth } from '../src/auth/index.ts'
import { parseConfig } from '../src/platform/config.ts'
import { openLog } from '../src/platform/log.ts'
import { openPlatform } from '../src/platform/platform.ts'
import { StartError } from '../src/platform/start-error.ts'

const commands = { token: printToken, reset: resetPassword }

async function printToken(auth: ReturnType<typeof createAuth>): Promise<void> {
  process.stdout.write(`${await auth.administratorToken()}\n`)
}

async function resetPassword(auth: ReturnType<typeof createAuth>): Promise<void> {
  const { username, password } = await auth.resetAdministrator()
  process.stdout.write(`Administrator: ${username}\nPassword:      ${password}\n`)
}

async function run(name: string | undefined): Promise<void> {
  if (name === undefined || !Object.hasOwn(commands, name)) {
    throw new StartError('Usage: scripts/token, or scripts/admin reset')
  }
  const config = parseConfig({ ...process.env, LOG_LEVEL: 'silent' })
  const platform = await openPlatform(config, openLog(config).log)
  try {
    const auth = createAuth(platform)
    const created = await auth.start()
    if (created !== undefined) {
      process.stderr.write(
        `Created the administrator ${created.username}, password ${created.password}\n`,
      )
    }
    await commands[name as keyof typeof commands](auth)
  } finally {
    await platform.close()
  }
}

try {
  await run(process.argv[2])
} catch (error) {
  if (!(error instanceof StartError)) throw error
  process.stderr.write(`${error.message}\n`)
  process.exitCode = 1
}
