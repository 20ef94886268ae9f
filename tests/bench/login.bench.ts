import { startServer } from './child.ts'
import { bun, productSettings } from './product.ts'
import type { Race } from './race.ts'

const PASSWORD = 'correct horse battery'
const WRONG = 'wrong password'
const ACCOUNT = 'wrong password'
const ACCOUNTS = { disabled: 'disabled account', unverified: 'unverified account' }
const NOBODY = 'unknown user'
const PERCENT_MOST = 20

/** Whether the time of a refused login tells who is here. */
export async function login(scratch: string): Promise<Race> {
  const server = await startServer({
    command: bun('src/main.ts'),
    env: {
      ...productSettings(scratch),
      ADMIN_PASSWORD: PASSWORD,
      SIGNUP: 'open',
      UNVERIFIED_LOGIN: 'refuse',
      RATE_LIMIT_AUTH: '1000000000',
      LOGIN_FAILURES_MAX: '1000',
      LOGIN_FAILURES_PER_ADDRESS_MAX: '1000000000',
      LOG_LEVEL: 'error',
    },
    output: `${scratch}/login.log`,
  })
  const send = (path: string, body: object, token?: string, method = 'POST') =>
    fetch(`${server.url}/api/v1${path}`, {
      method,
      headers: {
        'content-type': 'application/json',
        ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
      },
      body: JSON.stringify(body),
    })
  const logIn = async (username: string, password: string) => {
    const response = await send('/auth/login', { username, password })
    return { status: response.status, body: (await response.json()) as Record<string, string> }
  }

  const { body } = await logIn('admin', PASSWORD)
  const token = body['token']!
  await send('/users', { username: 'ada', password: PASSWORD }, token)
  const made = await send('/users', { username: 'disabled', password: PASSWORD }, token)
  const { id } = (await made.json()) as { id: string }
  await send(`/users/${id}`, { disabled: true }, token, 'PATCH')
  const email = 'unverified@example.com'
  await send('/auth/signup', { username: 'unverified', email, password: PASSWORD })
  for (const username of Object.keys(ACCOUNTS)) {
    const { status } = await logIn(username, PASSWORD)
    if (status !== 403) throw new Error(`the ${username} account is let in, or unknown: ${status}`)
  }

  const refused = (username: string) => async () => {
    const { status } = await logIn(username, WRONG)
    if (status !== 401) throw new Error(`a wrong password of ${username} was answered ${status}`)
  }
  const others = [NOBODY, ...Object.values(ACCOUNTS)]
  return {
    title: 'login: refused for a wrong password, one after the other, through a real port',
    inFlight: 1,
    contenders: [
      { name: ACCOUNT, operate: refused('ada') },
      { name: NOBODY, operate: refused('nobody') },
      { name: ACCOUNTS.disabled, operate: refused('disabled') },
      { name: ACCOUNTS.unverified, operate: refused('unverified') },
    ],
    bars: others.map((name) => ({
      claim: `${name}: time beside a ${ACCOUNT}`,
      unit: '%',
      limit: { most: PERCENT_MOST },
      read: (of) => Math.abs(of(ACCOUNT).requestsPerSecond / of(name).requestsPerSecond - 1) * 100,
    })),
    close: () => server.stop(),
  }
}
