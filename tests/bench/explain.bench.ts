import { join } from 'node:path'

import type { Comparison } from './compare.ts'
import { CONNECTIONS } from './load.ts'
import { bun, productSettings, signIn } from './product.ts'
import { benchPython } from './python.ts'
import { benchRows, MODEL } from './rows.ts'

const PRODUCT = 'product'
const FASTAPI = 'FastAPI and shap'
const TOLERANCE = 1e-5
const BODIES = 500

type Shares = Record<string, number>

/** What it costs to say why: TreeSHAP of a row a request, and of 32. */
export async function explain(scratch: string): Promise<Comparison[]> {
  const python = benchPython()
  if (python === undefined) process.stderr.write('Skipped: FastAPI and shap, without Python.\n')
  const authorization = await signIn(scratch)
  const comparisons: Comparison[] = []
  for (const rows of [1, 32]) {
    const bodies = join(scratch, `explain-${rows}.txt`)
    const all = await benchRows(BODIES * rows)
    const requests = Array.from({ length: BODIES }, (_, at) =>
      requestOf(all.slice(at * rows, (at + 1) * rows)),
    )
    await Bun.write(bodies, requests.map((request) => JSON.stringify(request)).join('\n'))
    const seen: Shares[][] = []
    comparisons.push({
      title: `explain: TreeSHAP of ${rows} rows a request, signed in, ${CONNECTIONS} connections`,
      load: {
        path: '/api/v1/predict',
        headers: { ...authorization, 'content-type': 'application/json' },
        bodies,
      },
      probe: {
        body: requestOf(all.slice(0, 20)),
        // They agree with each other: whose answer came first is what the next is held to.
        isRight(answer, name) {
          const shares = sharesOf(answer, name)
          const [known = shares] = seen
          seen.push(shares)
          return shares.every((row, at) => isClose(row, known[at]!))
        },
      },
      contenders: [
        { name: PRODUCT, command: bun('src/main.ts'), env: productSettings(scratch) },
        ...(python === undefined
          ? []
          : [
              {
                name: FASTAPI,
                command: [python, join(import.meta.dir, 'servers/fastapi_shap.py'), MODEL],
                env: {},
              },
            ]),
      ],
      bars:
        python === undefined
          ? []
          : [
              {
                claim: 'req/s of FastAPI and shap',
                unit: '×',
                read: (of) => of(PRODUCT).requestsPerSecond / of(FASTAPI).requestsPerSecond,
                limit: { least: 20 },
              },
            ],
    })
  }
  return comparisons
}

const requestOf = (features: unknown[]) => ({ model_type: 'trees', features, explain: true })

function sharesOf(answer: unknown, name: string): Shares[] {
  const { explanations } = answer as { explanations: unknown[] }
  if (name === FASTAPI) return explanations as Shares[]
  return (explanations as { contributions: Shares }[][]).map((row) => row[0]!.contributions)
}

const isClose = (one: Shares, other: Shares) =>
  Object.entries(one).every(([name, share]) => Math.abs(share - other[name]!) < TOLERANCE)
