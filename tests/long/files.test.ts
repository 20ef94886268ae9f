import { afterAll, describe, expect, test } from 'bun:test'
import { rmSync } from 'node:fs'

import { systemClock } from '../../src/platform/clock.ts'
import { streamOf, testS3Options } from '../../src/platform/storage/drivers.fixture.ts'
import { openFolderStorage } from '../../src/platform/storage/folder.ts'
import { openS3Storage } from '../../src/platform/storage/s3.ts'
import type { Storage } from '../../src/platform/storage/storage.ts'
import { newDirectory } from '../support/server.ts'

const MEGABYTE = 1_000_000
const CHUNK_BYTES = 500_000
const FILE_BYTES = 200 * MEGABYTE
/** A window of 4 MiB and its copies, chunks on their way, and what the collector has not come to. */
const GROWTH_BYTES_MAX = 80 * MEGABYTE

const directory = newDirectory()
afterAll(() => rmSync(directory, { recursive: true, force: true }))

const folderOptions = {
  directory,
  publicUrl: 'http://localhost',
  uploadBytesMax: FILE_BYTES,
  clock: systemClock,
}
const s3Options = testS3Options(directory)
const drivers: [string, () => Storage | Promise<Storage>][] = [
  ['folder', () => openFolderStorage(folderOptions)],
]
if (s3Options !== undefined) {
  const options = { ...s3Options, uploadBytesMax: FILE_BYTES, cacheBytesMax: FILE_BYTES }
  drivers.push(['s3', () => openS3Storage(options)])
}

async function growthDuring(work: () => Promise<void>): Promise<number> {
  Bun.gc(true)
  const before = process.memoryUsage.rss()
  let peak = before
  const timer = setInterval(() => {
    peak = Math.max(peak, process.memoryUsage.rss())
  }, 5)
  await work()
  clearInterval(timer)
  return peak - before
}

describe.each(drivers)('%s', (name, open) => {
  test('moves 200 MB in and out, and to a local copy, in bounded memory', async () => {
    const storage = await open()
    const growth = {
      in: await growthDuring(async () => {
        const chunks = streamOf(FILE_BYTES / CHUNK_BYTES, { chunkBytes: CHUNK_BYTES })
        await storage.put('large', chunks)
      }),
      out: await growthDuring(async () => {
        const opened = await storage.open('large')
        let bytes = 0
        for await (const chunk of opened!.stream()) {
          bytes += chunk.byteLength
          // A reader that is slower than the disk.
          await Bun.sleep(0)
        }
        expect(bytes).toBe(FILE_BYTES)
      }),
      copy: await growthDuring(async () => (await storage.localCopy('large'))!.release()),
    }
    await storage.delete('large')
    await storage.close()
    const inMegabytes = Object.entries(growth).map(([way, bytes]) => `${way} ${bytes / MEGABYTE}`)
    process.stderr.write(`${name}: memory grew by ${inMegabytes.join(', ')} MB\n`)
    expect(Math.max(...Object.values(growth))).toBeLessThan(GROWTH_BYTES_MAX)
  }, 120_000)
})
