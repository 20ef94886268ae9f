import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const READY_TIMEOUT_MS = 20_000
const POLL_MS = 20

/** A real server that a test started for itself, on a free port of this machine. */
export interface Service {
  url: string
  port: number
  /** Ends it as an operator would, and starts it again with what it had on disk. */
  stop(): Promise<void>
  start(): Promise<void>
  /** Ends it by -9. */
  kill(): Promise<void>
  /** Stops it and removes what it stored. */
  remove(): Promise<void>
}

/** Starts a server and knows how to stop and start it again in the same folder, on the same port. */
export async function startService(options: {
  name: string
  url: (port: number) => string
  /** Prepares the empty folder, once. */
  prepare?: (directory: string) => Promise<void>
  command: (directory: string, port: number) => string[]
  /** The signal by which it stops in order. */
  stopSignal: NodeJS.Signals
  isReady: (url: string) => Promise<boolean>
}): Promise<Service> {
  const { name, command, stopSignal } = options
  const directory = mkdtempSync(join(tmpdir(), `quintet-${name}-`))
  await options.prepare?.(directory)
  const port = await freePort()
  const url = options.url(port)
  let child: Bun.Subprocess | undefined

  async function end(signal: NodeJS.Signals): Promise<void> {
    child?.kill(signal)
    await child?.exited
    child = undefined
  }

  const service: Service = {
    url,
    port,
    async start() {
      child = Bun.spawn(command(directory, port), {
        stdin: 'ignore',
        stdout: Bun.file(join(directory, 'output.log')),
        stderr: Bun.file(join(directory, 'errors.log')),
      })
      const deadline = performance.now() + READY_TIMEOUT_MS
      while (!(await options.isReady(url))) {
        if (child.exitCode !== null || performance.now() > deadline) {
          const errors = await Bun.file(join(directory, 'errors.log')).text()
          throw new Error(`${name} did not start: ${errors}`)
        }
        await Bun.sleep(POLL_MS)
      }
    },
    stop: () => end(stopSignal),
    kill: () => end('SIGKILL'),
    async remove() {
      await end(stopSignal)
      rmSync(directory, { recursive: true, force: true })
    },
  }
  await service.start()
  return service
}

export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.on('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const address = server.address()
      const port = typeof address === 'object' && address !== null ? address.port : 0
      server.close(() => resolve(port))
    })
  })
}
