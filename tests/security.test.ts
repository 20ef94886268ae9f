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

const named = rows.flatMap(([id, , , shown]) =>
  [...shown!.matchAll(/`((?:tests|src)\/[^`]+)`: “([^”]+)”/g)].map(([, file, name]) => ({
    id: id!,
    file: file!,
    name: name!,
  })),
)

/**
 * The titles of a file's tests: what `test(…)` and `test.each(…)(…)` are called with, and the names in
 * the tables that they run through, which are `name:`, a row's first text or a key. None of a comment,
 * and none that is skipped.
 */
function titlesOf(source: string): Set<string> {
  const code = source.replaceAll(/^\s*(?:\/\/|\/?\*).*$/gm, '')
  const patterns = [
    /(?<![.\w])(?:test|it)\(\s*(['`])(.+?)\1,/g,
    /(?<![.\w])(?:test|it)\.each\((?:(?!\n\S).)*?\)\(\s*(['`])(.+?)\1,/gs,
    /\bname: (['`])(.+?)\1,/g,
    /\[\s*(['`])(.+?)\1,\s/g,
    /^  (['`])(.+?)\1: (?:async )?\(/gm,
  ]
  return new Set(patterns.flatMap((each) => [...code.matchAll(each)].map(([, , title]) => title!)))
}

test('every test that is named is one, by its whole title', async () => {
  expect(named.length).toBeGreaterThan(40)
  const missing: typeof named = []
  for (const each of named) {
    const source = await Bun.file(join(ROOT, each.file))
      .text()
      .catch(() => '')
    if (!titlesOf(source).has(each.name)) missing.push(each)
  }
  expect(missing).toEqual([])
})

test('neither a part of a title, nor a comment, nor a test that is skipped is one', () => {
  const source = [
    "test('runs here', async () => {})",
    "test.skip('is skipped', async () => {})",
    "// test('is a comment', async () => {})",
    "describe('is a chapter', () => {})",
    "test.each([['a row', 1]])('by %s', () => {})",
    "{ name: 'a request', path: '/' }",
  ].join('\n')
  const titles = titlesOf(source)
  expect([...titles].toSorted()).toEqual(['a request', 'a row', 'by %s', 'runs here'])
})

test('no file that is named leaves tests out', async () => {
  for (const file of new Set(named.map((each) => each.file))) {
    const source = await Bun.file(join(ROOT, file)).text()
    expect({ file, left: source.match(/\.(?:skip|todo|only|failing)\(/g) }).toEqual({
      file,
      left: null,
    })
  }
})
