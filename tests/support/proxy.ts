/** A way to a server that a test can make slow, or silent. */
export interface Proxy {
  port: number
  /** From now on everything takes so long, in each direction. */
  delay(ms: number): void
  /** Cuts every connection; the next ones are let through. */
  cut(): void
  /** From now on nothing passes and nothing is closed; new connections are accepted, and silent. */
  freeze(): void
  /** What was held passes, in its order. */
  thaw(): void
  /** New connections are let through; those that there are stay open, and silent for ever. */
  bury(): void
  close(): void
}

interface Side {
  /** Sends so much later, and always in order. */
  pass: (data: Buffer) => void
  end: () => void
}

/** Lets TCP connections through to a port of this machine. */
export function openProxy(port: number): Proxy {
  let delayMs = 0
  /** What the connections of now wait for before they pass anything on. */
  let gate = openGate()
  const sockets = new Set<Bun.Socket<Side>>()

  /** What is received before the other side is there waits for it. */
  function towards(target: Promise<Bun.Socket<Side>>): Side {
    const own = gate
    let sending: Promise<unknown> = target
    const later = (act: (socket: Bun.Socket<Side>) => void) => {
      const dueAt = performance.now() + delayMs
      sending = sending
        .then(() => Bun.sleep(Math.max(0, dueAt - performance.now())))
        .then(() => own.opened)
        .then(async () => act(await target))
        .catch(() => {})
    }
    return {
      pass: (data) => {
        const copy = Buffer.from(data)
        later((socket) => void socket.write(copy))
      },
      end: () => later((socket) => void socket.end()),
    }
  }

  const handlers: Bun.SocketHandler<Side> = {
    data: (socket, data) => socket.data.pass(data),
    close(socket) {
      sockets.delete(socket)
      socket.data.end()
    },
    error() {},
  }
  const listener = Bun.listen<Side>({
    hostname: '127.0.0.1',
    port: 0,
    socket: {
      ...handlers,
      open(client) {
        sockets.add(client)
        const back = towards(Promise.resolve(client))
        const server = Bun.connect<Side>({
          hostname: '127.0.0.1',
          port,
          data: back,
          socket: handlers,
        })
        client.data = towards(server)
        server.then(
          (socket) => sockets.add(socket),
          () => client.end(),
        )
      },
    },
  })
  return {
    port: listener.port,
    delay(ms) {
      delayMs = ms
    },
    cut() {
      for (const socket of sockets) socket.terminate()
    },
    freeze: () => gate.shut(),
    thaw: () => gate.open(),
    bury() {
      gate.shut()
      gate = openGate()
    },
    close() {
      listener.stop(true)
      for (const socket of sockets) socket.terminate()
    },
  }
}

function openGate() {
  let { promise: opened, resolve: open } = Promise.withResolvers<void>()
  open()
  return {
    get opened() {
      return opened
    },
    shut: () => void ({ promise: opened, resolve: open } = Promise.withResolvers<void>()),
    open: () => open(),
  }
}
