import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { aptInstall } from './services/apt.ts'
import { until } from './until.ts'

const START_TIMEOUT_MS = 30_000
const ANSWER_TIMEOUT_MS = 15_000
const STOP_TIMEOUT_MS = 5_000

/** A page of a real browser, driven over the DevTools protocol. */
export interface Page {
  /** Runs an expression there, waits for what it promises, and gives it as JSON. @throws what it throws. */
  evaluate<T>(expression: string): Promise<T>
  /** A command of the DevTools protocol: https://chromedevtools.github.io/devtools-protocol. */
  send<T = unknown>(method: string, parameters?: object): Promise<T>
  /** Does what leads to another document, and waits until that one has loaded, its scripts with it. */
  leave(action: () => Promise<unknown>): Promise<void>
}

export interface Chromium {
  /** Opens a page and waits until it has loaded. */
  open(url: string): Promise<Page>
  close(): Promise<void>
}

const findChromium = () => Bun.which('chromium') ?? Bun.which('chromium-browser') ?? undefined

/** Installs Chromium where it is missing and can be installed. @returns whether it is there. */
export async function ensureChromium(): Promise<boolean> {
  if (findChromium() === undefined) await aptInstall('chromium')
  if (findChromium() !== undefined) return true
  if (process.env['CI'] === 'true') throw new Error('in CI no test may be skipped: no Chromium')
  process.stderr.write('Skipped: every test in Chromium, which is not on this machine.\n')
  return false
}

/** A browser of its own, with an empty profile. */
export async function startChromium(): Promise<Chromium> {
  const program = findChromium()
  if (program === undefined) throw new Error('there is no Chromium on this machine')
  const profile = mkdtempSync(join(tmpdir(), 'quintet-chromium-'))
  const child = Bun.spawn(
    [
      program,
      '--headless=new',
      '--no-sandbox',
      '--disable-gpu',
      '--disable-dev-shm-usage',
      '--no-first-run',
      '--remote-debugging-port=0',
      `--user-data-dir=${profile}`,
      'about:blank',
    ],
    { stdin: 'ignore', stdout: 'ignore', stderr: 'ignore' },
  )

  async function close(): Promise<void> {
    child.kill('SIGTERM')
    await Promise.race([child.exited, Bun.sleep(STOP_TIMEOUT_MS)])
    if (child.exitCode === null) child.kill('SIGKILL')
    await child.exited
    rmSync(profile, { recursive: true, force: true, maxRetries: 5 })
  }

  let port = ''
  try {
    const portFile = join(profile, 'DevToolsActivePort')
    await until(() => {
      if (child.exitCode !== null) throw new Error(`Chromium ended with ${child.exitCode}`)
      port = existsSync(portFile) ? readFileSync(portFile, 'utf8').split('\n')[0]! : ''
      return port !== ''
    }, START_TIMEOUT_MS)
  } catch (error) {
    await close()
    throw error
  }

  const connections: WebSocket[] = []
  return {
    async open(url) {
      const made = await fetch(`http://127.0.0.1:${port}/json/new?about:blank`, {
        method: 'PUT',
        signal: AbortSignal.timeout(ANSWER_TIMEOUT_MS),
      })
      const { webSocketDebuggerUrl } = (await made.json()) as { webSocketDebuggerUrl: string }
      const { page, socket } = await connect(webSocketDebuggerUrl)
      connections.push(socket)
      await page.send('Page.enable')
      await page.leave(() => page.send('Page.navigate', { url }))
      return page
    },
    async close() {
      for (const socket of connections) socket.close()
      await close()
    },
  }
}

/** A passkey on this device, as a laptop with a finger has it. @returns how the browser calls it. */
export async function addAuthenticator(page: Page): Promise<string> {
  await page.send('WebAuthn.enable')
  const { authenticatorId } = await page.send<{ authenticatorId: string }>(
    'WebAuthn.addVirtualAuthenticator',
    {
      options: {
        protocol: 'ctap2',
        transport: 'internal',
        hasResidentKey: true,
        hasUserVerification: true,
        isUserVerified: true,
        automaticPresenceSimulation: true,
      },
    },
  )
  return authenticatorId
}

/** One connection to one page; answers are told apart by the number of their command. */
async function connect(address: string): Promise<{ page: Page; socket: WebSocket }> {
  const socket = new WebSocket(address)
  const waiting = new Map<number, PromiseWithResolvers<unknown>>()
  let commands = 0
  socket.addEventListener('message', ({ data }) => {
    const { id, result, error } = JSON.parse(String(data)) as {
      id?: number
      result?: unknown
      error?: { message: string }
    }
    const asked = id === undefined ? undefined : waiting.get(id)
    if (error === undefined) asked?.resolve(result)
    else asked?.reject(new Error(error.message))
  })
  await inTime(
    'the connection',
    new Promise((resolve, reject) => {
      socket.addEventListener('open', resolve)
      socket.addEventListener('error', () => reject(new Error('Chromium takes no connection')))
    }),
  )

  const send: Page['send'] = async <T>(method: string, params: object = {}) => {
    const id = ++commands
    const answer = Promise.withResolvers<unknown>()
    waiting.set(id, answer)
    socket.send(JSON.stringify({ id, method, params }))
    try {
      return (await inTime(method, answer.promise)) as T
    } finally {
      waiting.delete(id)
    }
  }
  const page: Page = {
    send,
    async evaluate<T>(expression: string) {
      const { result, exceptionDetails } = await send<{
        result: { value: T }
        exceptionDetails?: { text: string; exception?: { description?: string } }
      }>('Runtime.evaluate', {
        expression,
        awaitPromise: true,
        returnByValue: true,
        userGesture: true,
      })
      if (exceptionDetails === undefined) return result.value
      throw new Error(exceptionDetails.exception?.description ?? exceptionDetails.text)
    },
    async leave(action) {
      await page.evaluate('globalThis.isLeft = true')
      await action()
      // Between two documents there is none to ask.
      const hasLoaded = () =>
        page
          .evaluate<boolean>(`!globalThis.isLeft && document.readyState === 'complete'`)
          .catch(() => false)
      await until(hasLoaded, ANSWER_TIMEOUT_MS)
    },
  }
  return { page, socket }
}

async function inTime<T>(what: string, answer: Promise<T>): Promise<T> {
  const late = Bun.sleep(ANSWER_TIMEOUT_MS).then(() => {
    throw new Error(`Chromium: no answer to ${what} within ${ANSWER_TIMEOUT_MS} ms`)
  })
  return Promise.race([answer, late])
}
