import { expect, test } from 'bun:test'
import { dirname, join, relative } from 'node:path'

const SRC = join(import.meta.dir, '..', 'src')
const features = ['auth', 'inference', 'data', 'reports', 'stream', 'system']

/** Text, not an import graph: `import type` counts too, and the transpiler drops it. */
const IMPORT =
  /(?:from|import)\s*\(?\s*'(\.{1,2}\/[^']+)'|new URL\('([^']+\.ts)', import\.meta\.url\)/g

const sources = [...new Bun.Glob('**/*.{ts,tsx}').scanSync(SRC)].filter(
  (file) => !/\.test\.ts$|\.fixture\./.test(file) && !file.endsWith('contract.test.ts'),
)

interface Import {
  from: string
  to: string
}

async function imports(): Promise<Import[]> {
  const found = await Promise.all(
    sources.map(async (from) => {
      const text = await Bun.file(join(SRC, from)).text()
      return [...text.matchAll(IMPORT)].map((match) => ({
        from,
        to: relative(SRC, join(SRC, dirname(from), match[1] ?? match[2]!)),
      }))
    }),
  )
  return found.flat()
}

const roomOf = (file: string) => (file.includes('/') ? file.split('/')[0]! : file)

/** Whom the files of each room may import, beside their own. */
const mayImport: Record<string, (to: string) => boolean> = {
  'main.ts': (to) => to === 'app.ts' || roomOf(to) === 'platform',
  'app.ts': (to) =>
    features.some((feature) => to === `${feature}/index.ts`) ||
    ['gateway', 'platform'].includes(roomOf(to)),
  'events.ts': () => false,
  gateway: (to) => roomOf(to) === 'platform' || to === 'events.ts',
  platform: (to) => to === 'events.ts',
  ...Object.fromEntries(
    features.map((feature) => [
      feature,
      (to: string) => ['gateway', 'platform'].includes(roomOf(to)) || to === 'events.ts',
    ]),
  ),
}

function trespasses(all: Import[]): Import[] {
  return all
    .filter(({ to }) => !to.startsWith('..'))
    .filter(({ from, to }) => roomOf(from) !== roomOf(to) || !from.includes('/'))
    .filter(({ from, to }) => !(mayImport[roomOf(from)]?.(to) ?? false))
}

test('imports point one way: main → app → features → gateway → platform', async () => {
  expect(trespasses(await imports())).toEqual([])
})

test('a wrong import would be found', () => {
  for (const [from, to] of [
    ['auth/users.ts', 'inference/index.ts'],
    ['gateway/guard.ts', 'auth/tokens.ts'],
    ['platform/log.ts', 'gateway/problem.ts'],
    ['app.ts', 'auth/users.ts'],
    ['main.ts', 'auth/index.ts'],
  ] as const) {
    expect(trespasses([{ from, to }])).toEqual([{ from, to }])
  }
})

test('every import was read', async () => {
  const all = await imports()
  expect(all.length).toBeGreaterThan(100)
  expect(all).toContainEqual({ from: 'main.ts', to: 'app.ts' })
  expect(all).toContainEqual({
    from: 'inference/serving/inference.worker.ts',
    to: 'inference/serving/load-model.ts',
  })
})

test('only a few files know the framework, the environment and the console', async () => {
  const allowed: [RegExp, RegExp][] = [
    [/from 'hono/, /^$/],
    [/@hono\/zod-openapi/, /^(app\.ts|gateway\/|system\/|[a-z]+\/([a-z-]+\.routes|manifest)\.ts)/],
    [/process\.env|Bun\.env/, /^(main\.ts|platform\/config\.ts)$/],
    [/process\.exit/, /^main\.ts$/],
    [/console\./, /^$/],
  ]
  for (const file of sources) {
    const text = await Bun.file(join(SRC, file)).text()
    for (const [pattern, where] of allowed) {
      if (pattern.test(text))
        expect({ file, pattern: String(pattern) }).toEqual({
          file: expect.stringMatching(where),
          pattern: String(pattern),
        })
    }
  }
})
