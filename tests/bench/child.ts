import { readFileSync } from 'node:fs'

const HOST = '127.0.0.1'
const START_TIMEOUT_MS = 20_000
const STOP_TIMEOUT_MS = 5000
const POLL_INTERVAL_MS = 50
/** Of the clock in /proc, on every Linux that Bun runs on. */
const TICKS_PER_SECOND = 100

type Process = Bun.Subprocess

/** What runs now. Each is ended by its own id, however this process ends. */
const running = new Set<Process>()
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL')
})

/** Starts a program with no setting but those it is given. */
export function spawn<Output extends Bun.Spawn.Readable>(
  command: string[],
  options: { env?: Record<string, string>; output: Output; timeoutMs?: number },
): Bun.Subprocess<'ignore', Output, 'inherit'> {
  const { PATH = '', HOME = '' } = process.env
  const child = Bun.spawn(command, {
    env: { PATH, HOME, ...options.env },
    stdin: 'ignore',
    stdout: options.output,
    stderr: 'inherit',
    ...(options.timeoutMs === undefined ? {} : { timeout: options.timeoutMs }),
  })
  running.add(child)
  void child.exited.then(() => running.delete(child))
  return child
}

/** A server that listens. */
export interface Server {
  url: string
  /** CPU time of all its threads so far, in user code and in the system; NaN where there is no /proc. */
  cpuSeconds(): number
  stop(): Promise<void>
}

/**
 * Starts a server on a free port, which it is told by PORT, and waits until it listens.
 *
 * @throws {Error} when it does not.
 */
export async function startServer(options: {
  command: string[]
  env: Record<string, string>
  /** File for its standard output. */
  output: string
}): Promise<Server> {
  const { command, env, output } = options
  const port = freePort()
  const child = spawn(command, {
    env: { ...env, PORT: String(port) },
    output: Bun.file(output),
  })
  const deadline = Date.now() + START_TIMEOUT_MS
  while (!(await isListening(port))) {
    if (Date.now() > deadline || hasEnded(child))
      throw new Error(`${command.join(' ')} does not listen on port ${port}`)
    await Bun.sleep(POLL_INTERVAL_MS)
  }
  const url = `http://${HOST}:${port}`
  return { url, cpuSeconds: () => cpuSecondsOf(child), stop: () => stop(child) }
}

const isListening = (port: number) =>
  Bun.connect({ hostname: HOST, port, socket: { data() {} } }).then(
    (socket) => {
      socket.end()
      return true
    },
    () => false,
  )

function freePort(): number {
  const listener = Bun.listen({ hostname: HOST, port: 0, socket: { data() {} } })
  listener.stop(true)
  return listener.port
}

const hasEnded = ({ exitCode, signalCode }: Process) => exitCode !== null || signalCode !== null

function cpuSecondsOf(child: Process): number {
  if (hasEnded(child)) throw new Error('a server ended while it was measured')
  if (process.platform !== 'linux') return Number.NaN
  const stat = readFileSync(`/proc/${child.pid}/stat`, 'utf8')
  // The second field is the program's name, which may have blanks; utime and stime are the 14th and 15th.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND
}

async function stop(child: Process): Promise<void> {
  child.kill('SIGTERM')
  await Promise.race([child.exited, Bun.sleep(STOP_TIMEOUT_MS)])
  child.kill('SIGKILL')
}
