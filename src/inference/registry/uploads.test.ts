import { expect, test } from 'bun:test'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { refusal } from '../../../tests/support/refusal.ts'
import type { Identity } from '../../gateway/principal.ts'
import { inferenceProblems } from '../problems.ts'
import type { Models } from './models.ts'
import { createUploads } from './uploads.ts'

const identity = { kind: 'user', id: 'ada', name: 'ada', scopes: new Set() } as unknown as Identity

/** Uploads to a database that fails in this way. @returns keys of files that are stored afterwards. */
async function storedAfter(failure: Error): Promise<string[]> {
  const directory = mkdtempSync(join(tmpdir(), 'quintet-test-'))
  const path = join(directory, 'model')
  await Bun.write(path, 'tree')
  const stored = new Set<string>()
  const uploads = createUploads({
    access: {} as never,
    live: {} as never,
    models: {
      find: async () => undefined,
      addVersion: () => Promise.reject(failure),
    } as unknown as Models,
    storage: {
      put: async (key: string) => {
        stored.add(key)
        return { key, bytes: 4 }
      },
      delete: async (key: string) => void stored.delete(key),
    } as never,
    admission: {
      judge: async () => ({ isAdmitted: true, manifest: { file: 'model.txt' } as never }),
    },
  })
  const upload = { path, bytes: 4, digest: '', manifest: { name: 'churn' }, examples: undefined }
  const added = uploads.add(
    upload,
    { name: undefined, team: 'none' },
    { identity, actor: { kind: 'user', id: 'ada' } as never },
    AbortSignal.timeout(1000),
  )
  expect(await refusal(added)).toBe(failure)
  rmSync(directory, { recursive: true })
  return [...stored]
}

test('an upload that the database refuses leaves no file', async () => {
  expect(await storedAfter(inferenceProblems.quotaExceeded())).toEqual([])
})

test('an upload of which nobody knows whether the database has it keeps its file', async () => {
  expect(await storedAfter(new Error('the connection was lost'))).toHaveLength(1)
})
