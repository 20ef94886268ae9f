import { BlockList, isIP, isIPv6 } from 'node:net'

/** Whether an outward call may go there. */
export interface Allowed {
  /** Whatever address the host has. */
  host(name: string): boolean
  address(address: string): boolean
}

/** Everything that is not the public internet (RFC 6890), by IPv4 and IPv6. */
const PRIVATE_4 = [
  '0.0.0.0/8',
  '10.0.0.0/8',
  '100.64.0.0/10',
  '127.0.0.0/8',
  '169.254.0.0/16',
  '172.16.0.0/12',
  '192.0.0.0/24',
  '192.0.2.0/24',
  '192.88.99.0/24',
  '192.168.0.0/16',
  '198.18.0.0/15',
  '198.51.100.0/24',
  '203.0.113.0/24',
  '224.0.0.0/4',
  '240.0.0.0/4',
]
/** What leads to addresses of IPv4 is among them: nobody needs it to reach the internet. */
const PRIVATE_6 = [
  '::/96',
  '::ffff:0:0/96',
  '64:ff9b::/96',
  '64:ff9b:1::/48',
  '100::/64',
  '2001::/23',
  '2001:db8::/32',
  '2002::/16',
  'fc00::/7',
  'fe80::/10',
  'fec0::/10',
  'ff00::/8',
]

/**
 * The public internet, and what `entries` name beside it.
 *
 * @param entries names of hosts, addresses, and blocks of addresses.
 */
export function allowedBy(entries: readonly string[]): Allowed {
  const names = new Set(entries.map((entry) => entry.toLowerCase()))
  const isListed = inBlocks(entries.filter((entry) => isIP(entry.split('/')[0]!) !== 0))
  const isPrivate = inBlocks([...PRIVATE_4, ...PRIVATE_6])
  return {
    host: (name) => names.has(name.toLowerCase()),
    address: (address) => isIP(address) !== 0 && (isListed(address) || !isPrivate(address)),
  }
}

/** A list each: one of both takes an address of IPv4 for the one that IPv6 has for it. */
function inBlocks(entries: readonly string[]): (address: string) => boolean {
  const blocks = { ipv4: new BlockList(), ipv6: new BlockList() }
  for (const entry of entries) {
    const [address, length] = entry.split('/') as [string, string | undefined]
    const family = familyOf(address)
    if (length === undefined) blocks[family].addAddress(address, family)
    else blocks[family].addSubnet(address, Number(length), family)
  }
  return (address) => blocks[familyOf(address)].check(address, familyOf(address))
}

const familyOf = (address: string) => (isIPv6(address) ? 'ipv6' : 'ipv4')
