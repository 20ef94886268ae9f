import {
  type BigIntStats,
  constants,
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  realpathSync,
  renameSync,
  rmdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { type FileHandle, lstat, open, readdir, readFile } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'

import type { Clock } from '../clock.ts'
import { StartError } from '../start-error.ts'
import { isNoSpace, openPartials, throwNoSpace } from './partial.ts'
import { openSignatures } from './signatures.ts'
import {
  cursorAfter,
  isSegment,
  pageOf,
  requireExpiry,
  requireKey,
  type ByteRange,
  type OpenFile,
  type Storage,
  type StoredFile,
} from './storage.ts'

const CHUNK_BYTES = 256 * 1024
/** No key has this letter, so what we add to a name can't be somebody’s file. */
const FOLDER = '@'
const MEMO = '@etag'
const PARTIAL = '@partial'
const NOT_THERE = new Set(['ENOENT', 'ENOTDIR', 'ELOOP'])

/**
 * Keeps files in `files/` of a folder, each under its own name. Folders end in `@`, so that `a` and
 * `a/b` can both be keys, as they can in object storage.
 *
 * A new content is written beside the old one and renamed over it. Its ETag, the SHA-256, stands in a
 * file next to it, with the inode and the time that it was computed for. It is a memo, not the
 * truth: where it does not fit the content, after a crash between the two renames or when somebody
 * copied a file here by hand, it is computed anew.
 *
 * @throws {StartError} when the folder can't be written.
 */
export function openFolderStorage(options: {
  directory: string
  publicUrl: string
  uploadBytesMax: number
  clock: Clock
}): Storage {
  const { directory, publicUrl, uploadBytesMax, clock } = options
  const root = makeRoot(directory)
  const partials = openPartials(join(root, PARTIAL))
  const signatures = openSignatures(directory, clock)
  /** Held here: Bun ends the process over a handle that the collector finds before it is closed. */
  const openFiles = new Set<OpenFile>()

  function pathOf(key: string): string {
    requireKey(key)
    return join(
      root,
      ...key.split('/').map((name, at, all) => (at < all.length - 1 ? name + FOLDER : name)),
    )
  }

  /** The ETag of what is open: from its memo, or computed, and then kept for the next time. */
  async function etagOf(handle: FileHandle, stats: BigIntStats, memo: string): Promise<string> {
    const known = await readFile(memo, 'utf8').catch(ignoreNotThere)
    const remembered = known?.split(' ').at(-1) ?? ''
    if (known === memoOf(stats, remembered)) return remembered
    const hash = new Bun.CryptoHasher('sha256')
    for await (const chunk of readRange(handle, { start: 0, end: Number(stats.size) - 1 })) {
      hash.update(chunk)
    }
    const etag = `"${hash.digest('hex')}"`
    try {
      writeMemo(memo, stats, etag)
    } catch (error) {
      // Its folder may be gone by now, with the file; and to read takes no space.
      if (!isNotThere(error) && !isNoSpace(error)) throw error
    }
    return etag
  }

  function writeMemo(memo: string, stats: BigIntStats, etag: string): void {
    const draft = partials.newPath('etag')
    try {
      writeFileSync(draft, memoOf(stats, etag), { mode: 0o600 })
      renameSync(draft, memo)
    } catch (error) {
      rmSync(draft, { force: true })
      throw error
    }
  }

  async function openAt(key: string, path: string, memo: string): Promise<OpenFile | undefined> {
    const handle = await openFile(path)
    if (handle === undefined) return undefined
    try {
      const stats = await handle.stat({ bigint: true })
      if (!stats.isFile()) {
        await handle.close()
        return undefined
      }
      const opened: OpenFile = openFileOf(handle, () => openFiles.delete(opened), {
        key,
        bytes: Number(stats.size),
        etag: await etagOf(handle, stats, memo),
        modifiedAt: new Date(Number(stats.mtimeMs)),
      })
      openFiles.add(opened)
      return opened
    } catch (error) {
      await handle.close()
      throw error
    }
  }

  async function openKey(key: string): Promise<OpenFile | undefined> {
    const path = pathOf(key)
    if (!isInside(dirname(path))) return undefined
    return openAt(key, path, path + MEMO)
  }

  /** @returns the uppermost folder that it made. */
  function makeFolder(folder: string): string | undefined {
    let existing = folder
    while (!existsSync(existing)) existing = dirname(existing)
    if (!isInside(existing)) throw new Error(`${existing} leads out of the storage`)
    return mkdirSync(folder, { recursive: true, mode: 0o700 })
  }

  /** A link in the folder may lead anywhere, so none is followed. */
  function isInside(folder: string): boolean {
    try {
      return realpathSync(folder) === folder
    } catch (error) {
      if (isNotThere(error)) return false
      throw error
    }
  }

  async function stat(key: string): Promise<StoredFile | undefined> {
    const opened = await openKey(key)
    await opened?.close()
    return opened?.file
  }

  /** Signed for the method that a client sends; HEAD counts as GET. */
  function address(
    method: 'GET' | 'PUT',
    key: string,
    expiresInSeconds: number,
    bytesMax?: number,
  ) {
    requireKey(key)
    requireExpiry(expiresInSeconds)
    const expires = Math.floor(clock.now() / 1000) + expiresInSeconds
    const query = new URLSearchParams({
      expires: String(expires),
      ...(bytesMax === undefined ? {} : { bytes_max: String(bytesMax) }),
      signature: signatures.sign({ method, key, expires, bytesMax }),
    })
    return `${publicUrl}/api/v1/files/${key}?${query.toString()}`
  }

  return {
    driver: 'folder',

    async put(key, content, { bytesMax = uploadBytesMax, signal } = {}) {
      const path = pathOf(key)
      const partial = await partials.gather(content, { name: basename(path), bytesMax, signal })
      try {
        const stats = lstatSync(partial.path, { bigint: true })
        // In one go: no other put or delete of this process comes between.
        const made = makeFolder(dirname(path))
        writeMemo(path + MEMO, stats, partial.etag)
        renameSync(partial.path, path)
        await syncFolders(dirname(path), made === undefined ? dirname(path) : dirname(made))
        const modifiedAt = new Date(Number(stats.mtimeMs))
        return { key, bytes: partial.bytes, etag: partial.etag, modifiedAt }
      } catch (error) {
        rmSync(partial.path, { force: true })
        return throwNoSpace(error)
      }
    },

    stat,
    open: openKey,

    async delete(key) {
      const path = pathOf(key)
      const folder = dirname(path)
      if (!isInside(folder)) return
      rmSync(path, { force: true })
      rmSync(path + MEMO, { force: true })
      const kept = removeEmpty(folder, root)
      await syncFolders(kept, kept)
    },

    async list(options = {}) {
      const { prefix, after, limit } = pageOf(options)
      const files: Omit<StoredFile, 'etag'>[] = []
      for await (const key of walk(root, '', prefix, after)) {
        const last = files.at(-1)
        if (last !== undefined && files.length === limit) {
          return { files, cursor: cursorAfter(last.key) }
        }
        const stats = await lstat(pathOf(key)).catch(ignoreNotThere)
        if (stats?.isFile() !== true) continue
        files.push({ key, bytes: stats.size, modifiedAt: stats.mtime })
      }
      return { files }
    },

    /** A second name of the same file: it costs no space, and outlives what is put over it. */
    async localCopy(key) {
      const path = pathOf(key)
      if (!isInside(dirname(path))) return undefined
      const copy = partials.newPath(basename(path))
      try {
        linkSync(path, copy)
      } catch (error) {
        if (isNotThere(error)) return undefined
        throw error
      }
      const release = () => rmSync(copy, { force: true })
      try {
        const opened = await openAt(key, copy, path + MEMO)
        await opened?.close()
        if (opened !== undefined) return { file: opened.file, path: copy, release }
        release()
        return undefined
      } catch (error) {
        release()
        throw error
      }
    },

    downloadAddress: (key, { expiresInSeconds }) => address('GET', key, expiresInSeconds),
    uploadAddress: (key, { expiresInSeconds, bytesMax }) =>
      address('PUT', key, expiresInSeconds, bytesMax),
    judge: (request) => signatures.judge(request),
    async close() {
      await Promise.all([...openFiles].map((opened) => opened.close()))
    },
  }
}

function makeRoot(directory: string): string {
  try {
    const root = join(directory, 'files')
    mkdirSync(root, { recursive: true, mode: 0o700 })
    return realpathSync(root)
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause)
    throw new StartError(
      `The folder ${directory} can't hold files (${reason}). ` +
        'Make it writable for this user, or set DATA_DIR to one that is.',
      { cause },
    )
  }
}

async function openFile(path: string): Promise<FileHandle | undefined> {
  // Without NONBLOCK a named pipe that somebody put here would hold the caller for ever.
  const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK
  return open(path, flags).catch(ignoreNotThere)
}

function openFileOf(handle: FileHandle, forget: () => void, file: StoredFile): OpenFile {
  let closing: Promise<void> | undefined
  const close = () => (closing ??= handle.close().finally(forget))
  return {
    file,
    close,
    stream({ range = { start: 0, end: file.bytes - 1 }, signal } = {}) {
      const chunks = readRange(handle, range)
      return new ReadableStream(
        {
          async pull(controller) {
            try {
              signal?.throwIfAborted()
              const { done, value } = await chunks.next()
              if (!done) return controller.enqueue(value)
              await close()
              controller.close()
            } catch (error) {
              await close()
              throw error
            }
          },
          cancel: close,
        },
        { highWaterMark: 0 },
      )
    },
  }
}

async function* readRange(handle: FileHandle, range: ByteRange): AsyncGenerator<Uint8Array> {
  for (let at = range.start; at <= range.end;) {
    const buffer = new Uint8Array(Math.min(CHUNK_BYTES, range.end - at + 1))
    const { bytesRead } = await handle.read(buffer, 0, buffer.length, at)
    if (bytesRead === 0) throw new Error('a stored file is shorter than it was')
    yield buffer.subarray(0, bytesRead)
    at += bytesRead
  }
}

const memoOf = ({ ino, mtimeNs, size }: BigIntStats, etag: string) =>
  `${ino} ${mtimeNs} ${size} ${etag}`

/** Keys in their order: a folder stands where its name with `/` does. */
async function* walk(
  folder: string,
  parent: string,
  prefix: string,
  after: string,
): AsyncGenerator<string> {
  const entries = await readdir(folder, { withFileTypes: true }).catch(ignoreNotThere)
  const names = (entries ?? []).flatMap((entry) => {
    const isFolder = entry.isDirectory() && entry.name.endsWith(FOLDER)
    const name = isFolder ? entry.name.slice(0, -FOLDER.length) : entry.name
    if (!isSegment(name) || !(isFolder || entry.isFile())) return []
    return [isFolder ? `${name}/` : name]
  })
  // By bytes: keys are ASCII.
  names.sort((one, other) => (one < other ? -1 : 1))
  for (const name of names) {
    const key = parent + name
    if (!name.endsWith('/')) {
      if (key.startsWith(prefix) && key > after) yield key
      continue
    }
    const mayMatch = key.startsWith(prefix) || prefix.startsWith(key)
    const isBefore = key <= after && !after.startsWith(key)
    const path = join(folder, name.slice(0, -1) + FOLDER)
    if (mayMatch && !isBefore) yield* walk(path, key, prefix, after)
  }
}

/** Removes folders that hold nothing any more, and says which one is left. */
function removeEmpty(folder: string, root: string): string {
  let at = folder
  for (; at !== root; at = dirname(at)) {
    try {
      rmdirSync(at)
    } catch {
      return at
    }
  }
  return at
}

/** A name is on disk when its folder is; so is a new folder, when the one above is. */
async function syncFolders(from: string, to: string): Promise<void> {
  for (let at = from; ; at = dirname(at)) {
    // It may be gone again, with what was put into it.
    const handle = await open(at, 'r').catch(ignoreNotThere)
    try {
      await handle?.sync()
    } finally {
      await handle?.close()
    }
    if (at === to || at === dirname(at)) return
  }
}

const isNotThere = (error: unknown) =>
  error instanceof Error && 'code' in error && NOT_THERE.has(String(error.code))

function ignoreNotThere(error: unknown): undefined {
  if (!isNotThere(error)) throw error
}
