import { expect, test } from 'bun:test'
import { join } from 'node:path'

const ROOT = join(import.meta.dir, '..')

/** Chapters V6 to V9 of ASVS 5.0, levels 1 and 2. */
const REQUIREMENTS = [
  ...range('6.1', 1, 3),
  ...range('6.2', 1, 12),
  ...range('6.3', 1, 4),
  ...range('6.4', 1, 4),
  ...range('6.5', 1, 5),
  ...range('6.6', 1, 3),
  ...range('6.8', 1, 4),
  ...range('7.1', 1, 3),
  ...range('7.2', 1, 4),
  ...range('7.3', 1, 2),
  ...range('7.4', 1, 5),
  ...range('7.5', 1, 2),
  ...range('7.6', 1, 2),
  ...range('8.1', 1, 2),
  ...range('8.2', 1, 3),
  '8.3.1',
  '8.4.1',
  ...range('9.1', 1, 3),
  ...range('9.2', 1, 4),
]

function range(section: string, from: number, to: number): string[] {
  return Array.from({ length: to - from + 1 }, (_, index) => `${section}.${from + index}`)
}

const text = await Bun.file(join(ROOT, 'docs/security.md')).text()
/** `| 6.2.1 | what is asked | how it is met | shown by |` */
const rows = text
  .split('\n')
  .filter((line) => /^\| \d+\.\d+\.\d+ /.test(line))
  .map((line) =>
    line
      .slice(1, -1)
      .split(' | ')
      .map((cell) => cell.trim()),
  )

test('every requirement of levels 1 and 2 has its row, in order', () => {
  expect(rows.map(([id]) => id)).toEqual(REQUIREMENTS)
})

test('each row says how it is met, and by what that is shown', () => {
  for (const row of rows) {
    expect(row).toHaveLength(4)
    for (const cell of row) expect(cell).not.toBe('')
  }
})

test('every test that is named is there', async () => {
  const named = rows.flatMap(([id, , , shown]) =>
    [...shown!.matchAll(/`((?:tests|src)\/[^`]+)`: “([^”]+)”/g)].map(([, file, name]) => ({
      id: id!,
      file: file!,
      name: name!,
    })),
  )
  expect(named.length).toBeGreaterThan(40)
  const missing: typeof named = []
  for (const each of named) {
    const source = await Bun.file(join(ROOT, each.file))
      .text()
      .catch(() => '')
    if (!source.includes(each.name)) missing.push(each)
  }
  expect(missing).toEqual([])
})
