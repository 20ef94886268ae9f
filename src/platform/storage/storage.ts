import type { SignedRequest, Verdict } from './signatures.ts'

/** What is known of a stored file without reading it. */
export interface StoredFile {
  key: string
  bytes: number
  /** Strong, and as HTTP writes it: `"…"`. Another content has another one. */
  etag: string
  modifiedAt: Date
}

/** First and last byte, both included, as HTTP counts them. */
export interface ByteRange {
  start: number
  end: number
}

/** One state of a file, to read or to leave. */
export interface OpenFile {
  readonly file: StoredFile
  /**
   * Reads this very state, once, and closes it at the end. A file in object storage that changes
   * meanwhile makes the stream fail with {@link Changed}: it never mixes two states.
   */
  stream(options?: { range?: ByteRange; signal?: AbortSignal }): ReadableStream<Uint8Array>
  close(): Promise<void>
}

/** A file on this machine's disk, for programs that want a path. To be read, never written. */
export interface LocalCopy {
  readonly file: StoredFile
  /** Ends in the last segment of the key. It stays, with this content, until the release. */
  readonly path: string
  release(): void
}

/** A file that its maker has no further use for. */
export interface OwnFile {
  path: string
  /**
   * Whether it is never put again under its key, so that any ETag will do that no other file has: to make one of
   * the content takes as long as to read it.
   */
  isUnique?: boolean
}

interface FilePage {
  files: Omit<StoredFile, 'etag'>[]
  /** Leads to the next page; absent on the last one. */
  cursor?: string
}

/**
 * Files by key. A key is a path of segments such as `reports/2026/may.pdf`; see {@link requireKey}.
 * Every call that goes to another machine has a deadline and rejects with `Unavailable` beyond it.
 */
export interface Storage {
  readonly driver: 'folder' | 's3'
  /**
   * Stores a file, whole or not at all: readers see the old one until this resolves, and a content
   * that breaks off leaves nothing. On disk, or accepted by the object storage, when it resolves.
   *
   * @param content where it is a file of this machine, that may be gone afterwards.
   * @throws {TooLarge} beyond `bytesMax`, which is the server's limit unless it is given.
   * @throws {Unavailable} when the disk is full, or the object storage is away.
   */
  put(
    key: string,
    content: Uint8Array | ReadableStream<Uint8Array> | OwnFile,
    options?: { bytesMax?: number; signal?: AbortSignal },
  ): Promise<StoredFile>
  stat(key: string, options?: { signal?: AbortSignal }): Promise<StoredFile | undefined>
  /** What is opened must be streamed to its end, cancelled, or closed. */
  open(key: string, options?: { signal?: AbortSignal }): Promise<OpenFile | undefined>
  /** A file that is not there counts as deleted. */
  delete(key: string): Promise<void>
  /** In the order of the keys' bytes. Files that come or go meanwhile may be in it or not. */
  list(options?: { prefix?: string; cursor?: string; limit?: number }): Promise<FilePage>
  /**
   * The file as a path on this machine. Callers of one key share one copy; a changed file is fetched
   * anew, while copies of the old one stay as long as they are in use.
   *
   * @throws {TooLarge} for a file that is larger than the space for all copies.
   * @throws {Unavailable} when the copies in use leave no space for it.
   */
  localCopy(key: string, options?: { signal?: AbortSignal }): Promise<LocalCopy | undefined>
  /** An address that needs no token, for GET and HEAD of this file, until it expires. */
  downloadAddress(key: string, options: { expiresInSeconds: number }): string
  /**
   * The same for one PUT after another of this file. An S3 server that is given the address does not
   * know `bytesMax`: its signatures can't carry a greatest length.
   */
  uploadAddress(key: string, options: { expiresInSeconds: number; bytesMax: number }): string
  /** Judges a request to an address of ours. Those of S3 are judged by S3, so there all are forged. */
  judge(request: SignedRequest): Verdict
  close(): Promise<void>
}

export const KEY_LENGTH_MAX = 512
/** A file name has at most 255 bytes, and the folder driver and local copies add to it. */
const SEGMENT_LENGTH_MAX = 200
const SEGMENT = /^[A-Za-z0-9._-]+$/
const PAGE_FILES_MAX = 1000
/** S3's own limit. */
const EXPIRES_IN_SECONDS_MAX = 7 * 86_400

export class InvalidKey extends Error {
  override name = 'InvalidKey'
}

export class TooLarge extends Error {
  override name = 'TooLarge'
  readonly bytesMax: number

  constructor(bytesMax: number) {
    super(`the file has more than ${bytesMax} bytes`)
    this.bytesMax = bytesMax
  }
}

/** The file became another one while it was read. */
export class Changed extends Error {
  override name = 'Changed'
}

/** Letters that mean themselves in a path, in an address and on every file system. */
export const isSegment = (name: string) =>
  name.length <= SEGMENT_LENGTH_MAX && SEGMENT.test(name) && name !== '.' && name !== '..'

export const isKey = (key: string) =>
  key.length <= KEY_LENGTH_MAX && key.split('/').every(isSegment)

/** @throws {InvalidKey} for what is no key: no path may lead out of the storage. */
export function requireKey(key: string): void {
  if (isKey(key)) return
  throw new InvalidKey(
    `A key has segments of A-Z a-z 0-9 . _ - with / between them, none of them . or .., ` +
      `at most ${SEGMENT_LENGTH_MAX} characters each and ${KEY_LENGTH_MAX} in all.`,
  )
}

export function requireExpiry(seconds: number): void {
  if (Number.isInteger(seconds) && seconds >= 1 && seconds <= EXPIRES_IN_SECONDS_MAX) return
  throw new RangeError(`an address expires in 1 to ${EXPIRES_IN_SECONDS_MAX} seconds`)
}

/** The checked options of a list, the same for each driver. */
export function pageOf(options: { prefix?: string; cursor?: string; limit?: number }) {
  const { prefix = '', cursor, limit = PAGE_FILES_MAX } = options
  const after = cursor === undefined ? '' : Buffer.from(cursor, 'base64url').toString()
  if (after !== '') requireKey(after)
  return { prefix, after, limit: Math.max(1, Math.min(limit, PAGE_FILES_MAX)) }
}

export const cursorAfter = (key: string) => Buffer.from(key).toString('base64url')
