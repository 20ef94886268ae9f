import { readdirSync } from 'node:fs'
import { join } from 'node:path'

import type { Harness, TestRequest } from './harness.ts'

const TREES = join(import.meta.dir, '..', 'fixtures', 'trees')

type Cell = number | string | null

/** A model as its library saved it, with rows and what the library says of them. */
export interface TreeFixture {
  file: Uint8Array<ArrayBuffer>
  inputs: Cell[][]
  predictions: Cell[][]
}

export const treeFixtures = readdirSync(TREES).toSorted()

export async function treeFixture(name: string): Promise<TreeFixture> {
  const folder = join(TREES, name)
  const saved = readdirSync(folder).find((each) => each.startsWith('model.'))!
  const bytes = await Bun.file(join(folder, saved)).bytes()
  const file = saved.endsWith('.gz') ? Bun.gunzipSync(bytes) : bytes
  const expected = (await Bun.file(join(folder, 'expected.json')).json()) as Omit<
    TreeFixture,
    'file'
  >
  return { ...expected, file }
}

/** What an upload consists of. Text stands for itself, other values for their JSON. */
interface Parts {
  model?: Uint8Array<ArrayBuffer> | string
  manifest?: unknown
  examples?: unknown
  /** Which no upload has. */
  owner_id?: string
}

/** A request that uploads parts, as HTML and curl send them. */
export async function uploadOf(
  parts: Parts,
  query = '',
): Promise<TestRequest & { headers: Record<string, string> }> {
  const form = new FormData()
  for (const [name, value] of Object.entries(parts)) {
    if (name === 'model') form.append(name, new File([value as string], 'model.bin'))
    else form.append(name, typeof value === 'string' ? value : JSON.stringify(value))
  }
  const response = new Response(form)
  return {
    method: 'POST',
    path: `/api/v1/models${query}`,
    headers: { 'content-type': response.headers.get('content-type')! },
    body: response.body!,
  }
}

/** Uploads, and says what became of it. */
export async function upload(
  harness: Harness,
  parts: Parts,
  { token = harness.adminToken, query = '' } = {},
) {
  const response = await harness.request({ ...(await uploadOf(parts, query)), token })
  const body = (await response.json()) as Record<string, unknown>
  return { status: response.status, body, location: response.headers.get('location') }
}

/** The same to a process of its own. */
export async function uploadTo(url: string, parts: Parts, token: string, query: string) {
  const { method, path, headers, body } = await uploadOf(parts, query)
  return fetch(`${url}${path}`, {
    method: method!,
    headers: { ...headers, authorization: `Bearer ${token}` },
    body: await new Response(body as ReadableStream).arrayBuffer(),
  })
}
