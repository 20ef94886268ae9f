/** What names itself, the likeliest last: browsers call themselves by each other's names. */
const PROGRAMS: [pattern: RegExp, name: string][] = [
  [/\bEdg(?:A|iOS)?\//, 'Edge'],
  [/\bOPR\//, 'Opera'],
  [/\bFirefox\/|\bFxiOS\//, 'Firefox'],
  [/\bChrom(?:e|ium)\/|\bHeadlessChrome\/|\bCriOS\//, 'Chrome'],
  [/\bSafari\//, 'Safari'],
  [/\bhttr2\//, 'R (httr2)'],
  [/\bpython-requests\//, 'Python (requests)'],
  [/^curl\//, 'curl'],
]
const SYSTEMS: [pattern: RegExp, name: string][] = [
  [/\bAndroid\b/, 'Android'],
  [/\biPhone\b|\biPad\b/, 'iOS'],
  [/\bWindows\b/, 'Windows'],
  [/\bMacintosh\b/, 'macOS'],
  [/\bCrOS\b/, 'ChromeOS'],
  [/\bLinux\b/, 'Linux'],
]
const CHARACTERS_MAX = 60

const nameIn = (names: typeof PROGRAMS, userAgent: string) =>
  names.find(([pattern]) => pattern.test(userAgent))?.[1]

/** A `User-Agent` in a few words, such as “Firefox on Linux”; its beginning, where it is none of those. */
export function deviceName(userAgent: string): string {
  const program = nameIn(PROGRAMS, userAgent)
  if (program === undefined) return userAgent.slice(0, CHARACTERS_MAX)
  const system = nameIn(SYSTEMS, userAgent)
  return system === undefined ? program : `${program} on ${system}`
}
