// What scripts/token and scripts/admin do: both need the database, and no running server; one may run.
import { type Auth, createAuth } from '../src/auth/index.ts'
import { KEY_SET_MAX_AGE_SECONDS } from '../src/auth/keys/key-life.ts'
import { parseConfig } from '../src/platform/config.ts'
import { openLog } from '../src/platform/log.ts'
import { openPlatform } from '../src/platform/platform.ts'
import { StartError } from '../src/platform/start-error.ts'

type Command = (auth: Auth) => Promise<void>

const USAGE = `Usage:
  scripts/token
      Prints a token for the administrator.
  scripts/admin reset [USERNAME]
      Sets a new random password for an administrator, the oldest unless one is named, and prints
      it. Second factors are removed, sessions end.
  scripts/admin end-sessions USERNAME | --all
      Ends all sessions of a user, or of everybody: within two seconds every instance refuses their
      tokens, refresh tokens and cookies. API keys, and tokens of service accounts, stay good.
  scripts/admin rotate-keys
      Makes the key that signs tokens next. It is published now and signs in an hour; the old one
      is kept until the last token that it signed has expired. Nobody is logged out.
  scripts/admin rotate-keys --compromised
      For a private key that got out: removes all keys, and makes one that signs at once. Within
      two seconds every instance refuses the tokens of the old ones, other services do when they
      read the published keys again (in ${KEY_SET_MAX_AGE_SECONDS / 60} minutes). Sessions live on: cookies stay good, and
      by refresh tokens clients get new tokens; end-sessions ends them. Not where JWT_SECRET signs
      the tokens: change it, and restart.`

/** What the arguments ask for; `undefined` where that is nothing that there is. */
function commandOf([name, argument, ...rest]: string[]): Command | undefined {
  if (rest.length > 0) return undefined
  switch (name) {
    case 'token':
      return argument === undefined ? printToken : undefined
    case 'reset':
      return argument?.startsWith('-') ? undefined : (auth) => resetPassword(auth, argument)
    case 'end-sessions':
      if (argument === '--all') return (auth) => endSessions(auth, 'everybody')
      if (argument === undefined || argument.startsWith('-')) return undefined
      return (auth) => endSessions(auth, { username: argument })
    case 'rotate-keys':
      if (argument === '--compromised') return replaceKeys
      return argument === undefined ? rotateKeys : undefined
    case undefined:
    default:
      return undefined
  }
}

async function printToken(auth: Auth): Promise<void> {
  process.stdout.write(`${await auth.administratorToken()}\n`)
}

async function resetPassword(auth: Auth, name: string | undefined): Promise<void> {
  const { username, password } = await auth.resetAdministrator(name)
  process.stdout.write(`Administrator: ${username}\nPassword:      ${password}\n`)
}

async function endSessions(auth: Auth, of: { username: string } | 'everybody'): Promise<void> {
  process.stdout.write(`Sessions ended: ${await auth.endSessions(of)}\n`)
}

const keyLines = ({ id, activeFrom }: { id: string; activeFrom: Date }) =>
  `Key:        ${id}\nSigns from: ${activeFrom.toISOString()}\n`

async function rotateKeys(auth: Auth): Promise<void> {
  const key = await auth.rotateKeys({ isCompromised: false })
  process.stdout.write(keyLines(key))
  if (!key.isNew) process.stdout.write('It waits already: no other was made.\n')
}

async function replaceKeys(auth: Auth): Promise<void> {
  process.stdout.write(keyLines(await auth.rotateKeys({ isCompromised: true })))
  process.stdout.write(
    'Sessions live on: cookies and refresh tokens stay good. To end them: scripts/admin end-sessions --all\n',
  )
}

async function run(args: string[]): Promise<void> {
  const command = commandOf(args)
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
  await run(process.argv.slice(2))
} catch (error) {
  if (!(error instanceof StartError)) throw error
  process.stderr.write(`${error.message}\n`)
  process.exitCode = 1
}
