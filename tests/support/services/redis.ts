import { type Service, startService } from './service.ts'

export const findRedis = () => Bun.which('redis-server') ?? undefined

/** A Redis server of its own, empty, that keeps nothing when it stops. */
export async function startRedis(): Promise<Service> {
  const program = findRedis()
  if (program === undefined) throw new Error('there is no Redis on this machine')
  return startService({
    name: 'redis',
    url: (port) => `redis://127.0.0.1:${port}`,
    command: (directory, port) => [
      program,
      '--port',
      String(port),
      '--bind',
      '127.0.0.1',
      '--dir',
      directory,
      '--save',
      '',
      '--appendonly',
      'no',
    ],
    stopSignal: 'SIGTERM',
    isReady: answersPing,
  })
}

async function answersPing(url: string): Promise<boolean> {
  const { hostname, port } = new URL(url)
  const { promise, resolve } = Promise.withResolvers<boolean>()
  try {
    const socket = await Bun.connect({
      hostname,
      port: Number(port),
      socket: {
        data: (_, data) => resolve(data.toString().startsWith('+PONG')),
        close: () => resolve(false),
      },
    })
    socket.write('PING\r\n')
    const isReady = await promise
    socket.end()
    return isReady
  } catch {
    return false
  }
}
