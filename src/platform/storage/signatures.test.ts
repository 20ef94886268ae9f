import { afterAll, describe, expect, test } from 'bun:test'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { createTestClock } from '../../../tests/support/clock.ts'
import { openSignatures, type SignedRequest } from './signatures.ts'

const directory = mkdtempSync(join(tmpdir(), 'quintet-signatures-'))
afterAll(() => rmSync(directory, { recursive: true, force: true }))

const EXPIRES = 1_800_000_000
const clock = createTestClock(EXPIRES * 1000 - 1)
const signatures = openSignatures(directory, clock)
const claim = { method: 'PUT', key: 'a', expires: EXPIRES, bytesMax: 1 } as const
const request: SignedRequest = { ...claim, signature: signatures.sign(claim) }

describe('a signature', () => {
  test('counts for what was signed, by every process on the folder', () => {
    expect(signatures.judge(request)).toBe('valid')
    expect(openSignatures(directory, clock).judge(request)).toBe('valid')
    expect(readdirSync(directory)).toEqual(['files.key'])
  })

  test.each<[string, Partial<SignedRequest>]>([
    ['method', { method: 'GET' }],
    ['key', { key: 'b' }],
    ['end', { expires: EXPIRES + 1 }],
    ['bound', { bytesMax: 2 }],
    ['lack of a bound', { bytesMax: undefined }],
    ['signature', { signature: '' }],
    ['longer signature', { signature: `${request.signature}AAAA` }],
  ])('counts for no other %s', (_, other) => {
    expect(signatures.judge({ ...request, ...other })).toBe('forged')
  })

  test('counts up to its end, not at it', () => {
    clock.advance(1)
    expect(signatures.judge(request)).toBe('expired')
    expect(signatures.judge({ ...request, key: 'b' })).toBe('forged')
  })

  test('of another folder counts for nothing here', () => {
    const other = mkdtempSync(join(directory, 'other-'))
    expect(openSignatures(other, clock).judge(request)).toBe('forged')
  })
})
