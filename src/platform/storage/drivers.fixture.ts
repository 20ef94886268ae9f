import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import type { Clock } from '../clock.ts'
import { openFolderStorage } from './folder.ts'
import { openS3Storage, type S3Options } from './s3.ts'
import type { Storage } from './storage.ts'

export const UPLOAD_BYTES_MAX = 30_000_000
export const CACHE_BYTES_MAX = 20_000_000

export interface Place {
  storage: Storage
  /** Where it keeps what it keeps on this machine. */
  directory: string
  remove(): Promise<void>
}

interface Driver {
  name: Storage['driver']
  createPlace(clock: Clock, directory?: string): Promise<Place>
}

const newDirectory = () => mkdtempSync(join(tmpdir(), 'quintet-storage-'))

/** The server of the tests, with a prefix of this run's own. */
export function testS3Options(directory: string): S3Options | undefined {
  const environment = (name: string) => process.env[name] ?? ''
  if (environment('TEST_S3_ENDPOINT') === '') return undefined
  return {
    endpoint: environment('TEST_S3_ENDPOINT'),
    bucket: environment('TEST_S3_BUCKET'),
    accessKeyId: environment('TEST_S3_ACCESS_KEY_ID'),
    secretAccessKey: environment('TEST_S3_SECRET_ACCESS_KEY'),
    region: 'us-east-1',
    prefix: `quintet-test-${Bun.randomUUIDv7()}/`,
    directory,
    uploadBytesMax: UPLOAD_BYTES_MAX,
    cacheBytesMax: CACHE_BYTES_MAX,
    timeoutMs: 5000,
  }
}

const folder: Driver = {
  name: 'folder',
  async createPlace(clock, directory = newDirectory()) {
    const storage = openFolderStorage({
      directory,
      publicUrl: 'http://localhost:8080',
      uploadBytesMax: UPLOAD_BYTES_MAX,
      clock,
    })
    return {
      storage,
      directory,
      async remove() {
        await storage.close()
        rmSync(directory, { recursive: true, force: true })
      },
    }
  },
}

const s3: Driver = {
  name: 's3',
  async createPlace(_clock, directory = newDirectory()) {
    const options = testS3Options(directory)
    if (options === undefined) throw new Error('TEST_S3_ENDPOINT is not set')
    const storage = await openS3Storage(options)
    return {
      storage,
      directory,
      async remove() {
        for (;;) {
          const { files } = await storage.list()
          if (files.length === 0) break
          for (const { key } of files) await storage.delete(key)
        }
        await storage.close()
        rmSync(directory, { recursive: true, force: true })
      },
    }
  },
}

export const drivers = [folder, ...(testS3Options('') === undefined ? [] : [s3])]

if (drivers.length === 1) {
  process.stderr.write('Skipped: storage on S3, since TEST_S3_ENDPOINT is not set.\n')
}

export const bytesOf = async (stream: ReadableStream<Uint8Array> | undefined) =>
  new Uint8Array(await new Response(stream).arrayBuffer())

/** Many chunks of one letter; `onChunk` may make it fail. */
export function streamOf(
  chunks: number,
  { chunkBytes = 65_536, letter = 'a', onChunk = (_: number): void | Promise<void> => {} } = {},
): ReadableStream<Uint8Array> {
  let at = 0
  return new ReadableStream(
    {
      async pull(controller) {
        await onChunk(at)
        if (at === chunks) return controller.close()
        at += 1
        controller.enqueue(new Uint8Array(chunkBytes).fill(letter.charCodeAt(0)))
      },
    },
    { highWaterMark: 0 },
  )
}
