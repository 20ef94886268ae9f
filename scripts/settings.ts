// Writes the table of settings into the README, from the schema: bun scripts/settings.ts
import { join } from 'node:path'

import { settings } from '../src/platform/config.ts'

export const README = join(import.meta.dir, '..', 'README.md')
const BLOCK = /(<!-- settings: .*? -->\n)[\s\S]*(<!-- \/settings -->)/

interface Meta {
  description?: string
  secret?: boolean
  shownDefault?: string
}

/** The README with the table as it should be. */
export function withSettingsTable(readme: string): string {
  const rows = Object.entries(settings.shape).map(([name, schema]) => {
    const { description = '', secret, shownDefault } = (schema.meta() ?? {}) as Meta
    const parsed: unknown = schema.safeParse(undefined).data
    const isAbsent = secret === true || (parsed === undefined && shownDefault === undefined)
    const value = isAbsent ? '' : (shownDefault ?? `\`${String(parsed)}\``)
    return `| \`${name}\` | ${value} | ${description} |`
  })
  const table = ['| variable | default | meaning |', '|---|---|---|', ...rows, ''].join('\n')
  return readme.replace(BLOCK, (_, start: string, end: string) => `${start}${table}${end}`)
}

if (import.meta.main) await Bun.write(README, withSettingsTable(await Bun.file(README).text()))
