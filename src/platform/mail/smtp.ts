import { createTransport } from 'nodemailer'

import { type Mail, MailRefused } from './mail.ts'

/** RFC 8314 §3.3. */
const PORTS: Record<string, number> = { 'smtp:': 587, 'smtps:': 465 }
/** What would be read as several, or as a name beside an address, is none. */
const ADDRESS = /^[^\s<>@,;:"()[\]\\]+@[^\s<>@,;:"()[\]\\]+$/
const THIS_MACHINE = /^(localhost|127(\.\d+){3}|::1)$/

/**
 * Mail by an SMTP server (RFC 5321), a connection for each message: they are few, and far between.
 *
 * `smtps:` is TLS from the start (RFC 8314). `smtp:` changes to TLS where the server offers it, and
 * must where there is a password to send, unless the server is on this machine: what offers nothing
 * may be somebody in between (RFC 8314 §5.1). Certificates are verified; that of an authority of
 * one's own by `NODE_EXTRA_CA_CERTS`.
 *
 * @param url `smtp://user:password@host:port`, user and password encoded as in a URL
 * @param from `Name <address>` or an address
 * @param timeoutMs longest time for one message, from the first packet to the server's word
 */
export function createSmtpMail(options: { url: string; from: string; timeoutMs: number }): Mail {
  const { timeoutMs } = options
  const url = new URL(options.url)
  const from = parseSender(options.from)
  const host = url.hostname.replace(/^\[|\]$/g, '')
  const user = decodeURIComponent(url.username)
  const isSecure = url.protocol === 'smtps:'
  const transport = createTransport({
    host,
    port: url.port === '' ? PORTS[url.protocol]! : Number(url.port),
    secure: isSecure,
    requireTLS: !isSecure && user !== '' && !THIS_MACHINE.test(host),
    ...(user === '' ? {} : { auth: { user, pass: decodeURIComponent(url.password) } }),
    connectionTimeout: timeoutMs,
    greetingTimeout: timeoutMs,
    socketTimeout: timeoutMs,
    dnsTimeout: timeoutMs,
    // An aborted connection is dropped at once.
    socketCloseTimeout: 0,
    disableFileAccess: true,
    disableUrlAccess: true,
  })

  return {
    async send({ id, to, subject, text }, signal) {
      if (to.address === null || !ADDRESS.test(to.address)) throw new MailRefused('no address')
      try {
        await transport.sendMail({
          from,
          to: { name: '', address: to.address },
          subject,
          text,
          messageId: `<${id}@${domainOf(from.address)}>`,
          // RFC 3834: no vacation notice answers it.
          headers: { 'Auto-Submitted': 'auto-generated' },
          signal: AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]),
        })
      } catch (error) {
        throw plainly(error)
      }
    },
  }
}

/** What went wrong, without the server's words: they repeat the address, and errors are logged. */
function plainly(error: unknown): Error {
  const { code, command, responseCode } = error as {
    code?: string
    command?: string
    responseCode?: number
  }
  const said = responseCode === undefined ? '' : `, the server said ${responseCode}`
  const message = `the mail was not sent: ${code ?? 'unknown'} at ${command ?? 'CONN'}${said}`
  const isOfMessage = code === 'EENVELOPE' || code === 'EMESSAGE'
  // RFC 5321 §4.2.1: 5yz is for good. At another step it is of the server or its settings, which may change.
  const isRefused = isOfMessage && (responseCode === undefined || responseCode >= 500)
  return isRefused ? new MailRefused(message) : new Error(message)
}

function parseSender(text: string): { name: string; address: string } {
  const [, name = '', address = text.trim()] = /^\s*"?(.*?)"?\s*<([^<>]+)>\s*$/.exec(text) ?? []
  return { name, address }
}

const domainOf = (address: string) => address.slice(address.lastIndexOf('@') + 1)
