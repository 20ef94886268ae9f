import { SMTPServer, type SMTPServerOptions } from 'smtp-server'

/** What came in, as the server saw it. */
interface CaughtMail {
  from: string
  to: string[]
  /** Header names in lower case. */
  headers: Record<string, string>
  text: string
  isSecure: boolean
  user: string | undefined
}

/** A real SMTP server that keeps what it is given. */
export interface MailCatcher {
  port: number
  mails: CaughtMail[]
  /** From now on it answers RCPT TO with this code; `undefined`: it takes everything. */
  refuse(code: number | undefined): void
  close(): Promise<void>
}

/** Without certificate it offers no STARTTLS; without users it asks nobody who they are. */
export async function openMailCatcher(
  options: {
    port?: number
    certificate?: { cert: string; key: string }
    /** TLS from the start, as behind `smtps:`. */
    isSecure?: boolean
    users?: Record<string, string>
  } = {},
): Promise<MailCatcher> {
  const { certificate, users } = options
  const mails: CaughtMail[] = []
  let refusal: number | undefined
  const settings: SMTPServerOptions = {
    ...certificate,
    secure: options.isSecure ?? false,
    authOptional: users === undefined,
    allowInsecureAuth: true,
    disabledCommands: [
      ...(certificate === undefined ? ['STARTTLS'] : []),
      ...(users === undefined ? ['AUTH'] : []),
    ],
    closeTimeout: 100,
    onAuth({ username, password }, _, done) {
      if (username !== undefined && users?.[username] === password) done(null, { user: username })
      else done(Object.assign(new Error('no'), { responseCode: 535 }))
    },
    onRcptTo({ address }, _, done) {
      if (refusal === undefined) return done()
      // As servers do: they repeat whom they do not know.
      done(Object.assign(new Error(`no <${address}> here`), { responseCode: refusal }))
    },
    onData(stream, session, done) {
      const chunks: Buffer[] = []
      stream.on('data', (chunk: Buffer) => chunks.push(chunk))
      stream.on('end', () => {
        const { mailFrom, rcptTo } = session.envelope
        mails.push({
          from: mailFrom === false ? '' : mailFrom.address,
          to: rcptTo.map(({ address }) => address),
          ...parse(Buffer.concat(chunks).toString()),
          isSecure: session.secure,
          user: session.user,
        })
        done()
      })
    },
  }
  const server = new SMTPServer(settings)
  // A client that goes in the middle of it is a part of the tests.
  server.on('error', () => {})
  await new Promise<void>((resolve) => server.listen(options.port ?? 0, '127.0.0.1', resolve))
  const address = server.server.address()
  if (address === null || typeof address === 'string') throw new Error('it listens nowhere')
  return {
    port: address.port,
    mails,
    refuse(code) {
      refusal = code
    },
    close: () => new Promise((resolve) => server.close(resolve)),
  }
}

/** A server that accepts connections and says nothing. */
export function openSilentServer(): { port: number; connections(): number; close(): void } {
  const sockets = new Set<Bun.Socket>()
  const listener = Bun.listen({
    hostname: '127.0.0.1',
    port: 0,
    socket: {
      open: (socket) => void sockets.add(socket),
      close: (socket) => void sockets.delete(socket),
      data() {},
      error() {},
    },
  })
  return {
    port: listener.port,
    connections: () => sockets.size,
    close: () => listener.stop(true),
  }
}

/** A certificate for localhost that nobody vouches for. */
export async function makeCertificate(): Promise<{ cert: string; key: string }> {
  const command =
    'openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost -addext subjectAltName=DNS:localhost -keyout - -out -'
  const child = Bun.spawn(command.split(' '), { stdout: 'pipe', stderr: 'ignore' })
  const text = await new Response(child.stdout).text()
  const part = (name: string) =>
    new RegExp(`-----BEGIN ${name}-----[\\s\\S]*?-----END ${name}-----`).exec(text)![0]
  return { cert: part('CERTIFICATE'), key: part('PRIVATE KEY') }
}

function parse(raw: string): { headers: Record<string, string>; text: string } {
  const end = raw.indexOf('\r\n\r\n')
  const lines = raw
    .slice(0, end)
    .replaceAll(/\r\n[ \t]+/g, ' ')
    .split('\r\n')
  const headers = Object.fromEntries(
    lines.map((line) => {
      const colon = line.indexOf(':')
      return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()]
    }),
  )
  const body = raw.slice(end + 4).replaceAll('\r\n', '\n')
  const isQuoted = headers['content-transfer-encoding'] === 'quoted-printable'
  return { headers, text: isQuoted ? unquoted(body) : body }
}

const unquoted = (text: string) =>
  Buffer.from(
    text
      .replaceAll('=\n', '')
      .replaceAll(/=([0-9A-F]{2})/g, (_, hex: string) =>
        String.fromCharCode(Number.parseInt(hex, 16)),
      ),
    'latin1',
  ).toString()
