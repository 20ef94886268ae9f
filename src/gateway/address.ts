import { BlockList, isIP, isIPv6 } from 'node:net'

/** Finds the client's address behind proxies that the operator trusts. */
export interface AddressReader {
  /** `peer` is the other end of the connection, `forwardedFor` the header `X-Forwarded-For`. */
  read(peer: string, forwardedFor: string | null): string
  /** Whether the other end of a connection is a trusted proxy. */
  isProxy(peer: string): boolean
}

/**
 * The right-most address of `X-Forwarded-For` that is not itself a trusted proxy: what stands left
 * of it was written by the client and proves nothing.
 *
 * @param trustedProxies addresses and CIDR blocks
 */
export function createAddressReader(trustedProxies: readonly string[]): AddressReader {
  const trusted = new BlockList()
  for (const entry of trustedProxies) add(trusted, entry)
  const isTrusted = (address: string) => trusted.check(address, isIPv6(address) ? 'ipv6' : 'ipv4')

  return {
    isProxy: (peer) => isTrusted(unmapped(peer)),
    read(peer, forwardedFor) {
      const direct = unmapped(peer)
      if (forwardedFor === null || trustedProxies.length === 0 || !isTrusted(direct)) return direct
      const hops = forwardedFor.split(',').map((hop) => unmapped(hop.trim()))
      let client = direct
      for (const hop of hops.toReversed()) {
        if (isIP(hop) === 0) break
        client = hop
        if (!isTrusted(hop)) break
      }
      return client
    },
  }
}

function add(trusted: BlockList, entry: string): void {
  const [network = '', prefix] = entry.split('/')
  const family = isIPv6(network) ? 'ipv6' : 'ipv4'
  trusted.addSubnet(network, Number(prefix ?? (family === 'ipv6' ? 128 : 32)), family)
}

/** `::ffff:10.0.0.1` and `10.0.0.1` are one machine. */
const unmapped = (address: string) =>
  address.startsWith('::ffff:') && isIP(address.slice(7)) === 4 ? address.slice(7) : address

export const isLoopback = (address: string) => address === '::1' || address.startsWith('127.')

/** What rate limits count by: an IPv6 client has a whole /64 to itself. */
export function limitKey(address: string): string {
  if (!isIPv6(address)) return address
  const [head = '', tail] = address.split('::')
  const left = head === '' ? [] : head.split(':')
  const right = tail === undefined || tail === '' ? [] : tail.split(':')
  const zeros = tail === undefined ? 0 : 8 - left.length - right.length
  const groups = [...left, ...Array.from({ length: zeros }, () => '0'), ...right]
  return `${groups
    .slice(0, 4)
    .map((group) => Number.parseInt(group, 16).toString(16))
    .join(':')}::/64`
}
