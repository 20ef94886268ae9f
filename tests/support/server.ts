import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { PASSWORD } from './harness.ts'

const ROOT = join(import.meta.dir, '..', '..')
const START_TIMEOUT_MS = 20_000

/** The real process, on a port of its own. */
export interface TestServer {
  url: string
  directory: string
  process: Bun.Subprocess<'ignore', 'pipe', 'pipe'>
  /** Milliseconds from the spawn to the first answered request. */
  startedInMs: number
  /** Everything it wrote on standard error so far. */
  errors(): string
  /** What it logged so far at `warn` and above. */
  warnings(): Record<string, unknown>[]
  logIn(username?: string, password?: string): Promise<string>
  post(path: string, body: unknown, token?: string): Promise<Response>
  /** Asks it to stop and says how it exited. */
  stop(signal?: NodeJS.Signals): Promise<number>
}

/** An environment in which only these settings count. */
export const bareEnvironment = (settings: Record<string, string>) => ({
  PATH: process.env['PATH'],
  HOME: process.env['HOME'],
  ...settings,
})

export const newDirectory = () => mkdtempSync(join(tmpdir(), 'quintet-test-'))

export async function startServer(settings: Record<string, string> = {}): Promise<TestServer> {
  const directory = settings['DATA_DIR'] ?? newDirectory()
  const spawnedAt = performance.now()
  const child = Bun.spawn(['bun', 'src/main.ts'], {
    cwd: ROOT,
    env: bareEnvironment({
      PORT: '0',
      DATA_DIR: directory,
      ADMIN_PASSWORD: PASSWORD,
      WORKERS: '1',
      ...settings,
    }),
    stdin: 'ignore',
    stdout: 'pipe',
    stderr: 'pipe',
  })
  const errors = collect(child.stderr)
  const output = readOutput(child.stdout)
  const url = await Promise.race([output.url, Bun.sleep(START_TIMEOUT_MS)])
  if (typeof url !== 'string') throw new Error(`the server did not start: ${errors()}`)
  await fetch(`${url}/livez`)
  const startedInMs = performance.now() - spawnedAt

  const post: TestServer['post'] = (path, body, token) =>
    fetch(`${url}${path}`, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
      },
      body: JSON.stringify(body),
    })

  return {
    url,
    directory,
    process: child,
    startedInMs,
    errors,
    warnings: () => output.warnings,
    post,
    async logIn(username = 'admin', password = PASSWORD) {
      const response = await post('/api/v1/auth/login', { username, password })
      if (!response.ok) throw new Error(`login answered ${await response.text()}`)
      return ((await response.json()) as { token: string }).token
    },
    async stop(signal = 'SIGTERM') {
      child.kill(signal)
      const code = await child.exited
      if (settings['DATA_DIR'] === undefined) rmSync(directory, { recursive: true, force: true })
      return code
    },
  }
}

/** Runs the process where it is expected to refuse, and says how it did. */
export async function runServer(settings: Record<string, string>) {
  const child = Bun.spawn(['bun', 'src/main.ts'], {
    cwd: ROOT,
    env: bareEnvironment(settings),
    stdout: 'pipe',
    stderr: 'pipe',
  })
  const [code, output, errors] = await Promise.all([
    child.exited,
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ])
  return { code, output, errors }
}

/** The boot line says where it listens; of what comes after it, warnings and errors are kept. */
function readOutput(stdout: ReadableStream<Uint8Array>) {
  const { promise, resolve, reject } = Promise.withResolvers<string>()
  const warnings: Record<string, unknown>[] = []
  const read = async () => {
    const decoder = new TextDecoder()
    let isListening = false
    let text = ''
    for await (const chunk of stdout) {
      text += decoder.decode(chunk, { stream: true })
      const lines = text.split('\n')
      text = lines.pop() ?? ''
      for (const line of lines) {
        const match = isListening ? null : /listening on (http:\/\/[^"\s]+?)\/?[\s"]/.exec(line)
        if (match !== null) {
          isListening = true
          resolve(match[1] ?? '')
        }
        if (/^\{"log\.level":"(?:warn|error|fatal)"/.test(line))
          warnings.push(JSON.parse(line) as Record<string, unknown>)
      }
    }
    if (!isListening) throw new Error(`it ended: ${text}`)
  }
  read().catch(reject)
  return { url: promise, warnings }
}

function collect(stream: ReadableStream<Uint8Array>): () => string {
  let text = ''
  const read = async () => {
    const decoder = new TextDecoder()
    for await (const chunk of stream) text += decoder.decode(chunk)
  }
  void read()
  return () => text
}
