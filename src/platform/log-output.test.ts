import { afterEach, expect, test } from 'bun:test'
import { closeSync, existsSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { openLogOutput } from './log-output.ts'

const directory = mkdtempSync(join(tmpdir(), 'quintet-log-'))
const path = join(directory, 'log')
let fd: number
afterEach(() => {
  closeSync(fd)
  rmSync(path, { force: true })
})

test('every line is there, in order, when it is closed', async () => {
  fd = openSync(path, 'a')
  const output = openLogOutput(fd)
  const lines = Array.from({ length: 20_000 }, (_, n) => `line ${n}, ä\n`)
  for (const line of lines) output.write(line)
  await output.close()
  expect(readFileSync(path, 'utf8')).toBe(lines.join(''))
})

test('a line is not waited for', async () => {
  fd = openSync(path, 'a')
  const output = openLogOutput(fd)
  output.write('soon\n')
  await Bun.sleep(500)
  expect(readFileSync(path, 'utf8')).toBe('soon\n')
  await output.close()
})

// It is Linux's disk that is always full.
test.if(existsSync('/dev/full'))(
  'a disk that is full ends nothing and holds up no end',
  async () => {
    fd = openSync('/dev/full', 'a')
    const output = openLogOutput(fd)
    const chunk = `${'x'.repeat(99_999)}\n`
    // More than is kept.
    for (let count = 0; count < 300; count += 1) output.write(chunk)
    await Bun.sleep(300)
    const startedAt = performance.now()
    await output.close()
    expect(performance.now() - startedAt).toBeLessThan(500)
  },
)
