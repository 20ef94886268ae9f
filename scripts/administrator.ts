// What scripts/token and scripts/admin do: both need the database, and no running server; one may run.
import { type Auth, createAuth } from '../src/auth/index.ts'
import { KEY_SET_MAX_AGE_SECONDS } from '../src/auth/keys/key-life.ts'
import { parseConfig } from '../src/platform/config.ts'
import { openLog } from '../src/platform/log.ts'
import { openPlatform } from '../src/platform/platform.ts'
import { StartError } from '../src/platform/start-error.ts'

const USAGE = `Usage:
  scripts/token
      Prints a token for the administrator.
  scripts/admin reset
      Sets a new random password for the administrator and prints it. Second factors are removed.
  scripts/admin rotate-keys
      Makes the key that signs tokens next. It is published now and signs in an hour; the old one
      is kept until the last token that it signed has expired. Nobody is logged out.
  scripts/admin rotate-keys --compromised
      For a private key that got out: removes all keys, and makes one that signs at once. Within
      two seconds every instance refuses the tokens of the old ones, other services do when they
      read the published keys again (in ${KEY_SET_MAX_AGE_SECONDS / 60} minutes). Sessions live on: by their refresh tokens, clients
      get new tokens. Tokens signed by JWT_SECRET are not touched.`

const commands: Record<string, (auth: Auth) => Promise<void>> = {
  token: printToken,
  reset: resetPassword,
  'rotate-keys': (auth) => rotateKeys(auth, false),
  'rotate-keys --compromised': (auth) => rotateKeys(auth, true),
}

async function printToken(auth: Auth): Promise<void> {
  process.stdout.write(`${await auth.administratorToken()}\n`)
}

async function resetPassword(auth: Auth): Promise<void> {
  const { username, password } = await auth.resetAdministrator()
  process.stdout.write(`Administrator: ${username}\nPassword:      ${password}\n`)
}

async function rotateKeys(auth: Auth, isCompromised: boolean): Promise<void> {
  const { id, activeFrom } = await auth.rotateKeys({ isCompromised })
  process.stdout.write(`Key:        ${id}\nSigns from: ${activeFrom.toISOString()}\n`)
}

async function run(name: string): Promise<void> {
  const command = Object.hasOwn(commands, name) ? commands[name] : undefined
  if (command === undefined) throw new StartError(USAGE)
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
    await command(auth)
  } finally {
    await platform.close()
  }
}

try {
  await run(process.argv.slice(2).join(' '))
} catch (error) {
  if (!(error instanceof StartError)) throw error
  process.stderr.write(`${error.message}\n`)
  process.exitCode = 1
}
