// Writes src/auth/passwords/common-passwords.txt from a list with a password a line, or a JSON array of them:
//   npm pack @zxcvbn-ts/language-common && tar xzf zxcvbn-ts-language-common-*.tgz
//   bun scripts/common-passwords.ts package/src/passwords.json
import { join } from 'node:path'

import { comparable, PASSWORD_LENGTH } from '../src/auth/passwords/password-rules.ts'

const TARGET = join(import.meta.dir, '../src/auth/passwords/common-passwords.txt')

const text = await Bun.file(process.argv[2] ?? '/dev/stdin').text()
const list = text.startsWith('[') ? (JSON.parse(text) as string[]) : text.split('\n')
const useful = list
  .map((each) => comparable(each))
  .filter((each) => Array.from(each).length >= PASSWORD_LENGTH.min)
const sorted = [...new Set(useful)].toSorted()
await Bun.write(TARGET, `\n${sorted.join('\n')}\n`)
process.stdout.write(`${list.length} passwords, of which ${sorted.length} could be set\n`)
