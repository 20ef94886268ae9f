import { lookup as resolve } from 'node:dns'
import { request as requestPlain, type IncomingMessage } from 'node:http'
import { request as requestSecure } from 'node:https'
import { isIP, type LookupFunction } from 'node:net'

import { type Allowed, allowedBy } from './allowed.ts'

/** That an address is none to call for others. */
export class EgressRefused extends Error {
  override name = 'EgressRefused'
}

/** That a machine elsewhere did not answer as it should. */
export class EgressFailed extends Error {
  override name = 'EgressFailed'
}

interface Fetched {
  /** Where it was, after what led elsewhere. */
  url: URL
  mediaType: string | undefined
  body: IncomingMessage
}

/** Calls to machines elsewhere, at addresses that callers of ours chose. */
export interface Egress {
  /** @throws {EgressRefused} for what is plain without a call. */
  require(address: string): URL
  /**
   * @throws {EgressRefused} for an address of a private network that is not allowed, also where another leads
   * to it, and where the other side refuses.
   * @throws {EgressFailed} where the other side fails, can't be reached, or sends nothing for a while.
   */
  get(address: string, signal: AbortSignal): Promise<Fetched>
}

const REDIRECTS_MAX = 5
const REDIRECTS = new Set([301, 302, 303, 307, 308])
/** That it may go well another time. */
const LATER = new Set([408, 425, 429])
/** For which nothing came. */
const SILENCE_MS_MAX = 30_000

/** @param entries names of hosts, addresses and blocks of addresses that may be private. */
export function createEgress(entries: readonly string[]): Egress {
  const allowed = allowedBy(entries)
  const lookup = lookupAmong(allowed)

  function requireUrl(address: string | URL): URL {
    if (!URL.canParse(String(address))) {
      throw new EgressRefused('That is no address: expected https://….')
    }
    const url = new URL(address)
    const host = hostOf(url)
    const isNamed = allowed.host(host) || (isIP(host) !== 0 && entries.includes(host))
    if (url.protocol !== 'https:' && !(url.protocol === 'http:' && isNamed)) {
      throw new EgressRefused('Expected an address that begins with https://.')
    }
    if (url.username !== '' || url.password !== '') {
      throw new EgressRefused('An address has no place for a user and a password.')
    }
    if (isIP(host) !== 0 && !allowed.address(host)) throw isPrivate(host)
    return url
  }

  const send = (url: URL, signal: AbortSignal) =>
    new Promise<IncomingMessage>((done, failed) => {
      const request = (url.protocol === 'https:' ? requestSecure : requestPlain)(
        url,
        // As it is: what it is compressed by is found out from its first bytes.
        { signal, lookup, agent: false, headers: { 'accept-encoding': 'identity' } },
        (response) => {
          response.setTimeout(SILENCE_MS_MAX, () => response.destroy(silent(url)))
          done(response)
        },
      )
      request.setTimeout(SILENCE_MS_MAX, () => request.destroy(silent(url)))
      request.on('error', (cause) => {
        const isOurs = cause instanceof EgressRefused || cause instanceof EgressFailed
        failed(isOurs || signal.aborted ? cause : unreachable(url, cause))
      })
      request.end()
    })

  return {
    require: requireUrl,
    async get(address, signal) {
      let url = requireUrl(address)
      for (let left = REDIRECTS_MAX; left >= 0; left -= 1) {
        const response = await send(url, signal)
        const { statusCode: status = 0, headers } = response
        if (status === 200) return { url, mediaType: headers['content-type'], body: response }
        response.destroy()
        if (!REDIRECTS.has(status) || headers.location === undefined) {
          const isLater = status >= 500 || LATER.has(status)
          throw new (isLater ? EgressFailed : EgressRefused)(`${url.host} answers with ${status}.`)
        }
        url = requireUrl(new URL(headers.location, url))
      }
      throw new EgressFailed(`${url.host} leads elsewhere more than ${REDIRECTS_MAX} times.`)
    },
  }
}

/** Without the brackets that an address of IPv6 has in a URL. */
const hostOf = ({ hostname }: URL) => hostname.replace(/^\[|\]$/g, '')

/** The addresses of a name, each of which must be allowed: the call goes to none that was not looked at. */
const lookupAmong =
  (allowed: Allowed): LookupFunction =>
  (host, options, done) => {
    resolve(host, { ...options, all: true }, (error, addresses) => {
      if (error !== null) return done(error, '')
      const stray = addresses.find(({ address }) => !allowed.address(address))
      if (stray !== undefined && !allowed.host(host)) return done(isPrivate(host), '')
      if (options.all === true) return done(null, addresses)
      return done(null, addresses[0]!.address, addresses[0]!.family)
    })
  }

const isPrivate = (host: string) =>
  new EgressRefused(`${host} is of a private network: the operator may allow it by EGRESS_ALLOW.`)

const silent = ({ host }: URL) =>
  new EgressFailed(`Nothing came from ${host} for ${SILENCE_MS_MAX / 1000} s.`)

const unreachable = ({ host }: URL, cause: Error) =>
  new EgressFailed(`${host} can't be reached.`, { cause })
