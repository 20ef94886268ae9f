import type { Identity } from '../../gateway/principal.ts'
import { invalid } from '../../gateway/problems.ts'
import { type Clock, isoTime } from '../../platform/clock.ts'
import type { Partials } from '../../platform/storage/partial.ts'
import type { Storage } from '../../platform/storage/storage.ts'
import type { ReceivedUpload } from './received-upload.ts'

/** In storage, each below whoever may take it in. */
export const HANDED_UPLOADS = 'dataset-handed-uploads/'
const EXPIRES_IN_SECONDS = 3600

/** Files that go to the storage by an address of it, past the server, and are taken in from there. */
export interface HandedUploads {
  /** An address for one file, which needs no token. */
  begin(by: Identity): { id: string; url: string; bytes_max: number; expires_at: string }
  /**
   * The file that was sent there, as if it had been sent here. It stays until it is forgotten, so that what was
   * refused can be tried otherwise.
   *
   * @throws {Problem} 422 where there is none of theirs.
   */
  receive(id: string, by: Identity, signal: AbortSignal): Promise<ReceivedUpload>
  forget(id: string, by: Identity): Promise<void>
}

export function createHandedUploads(deps: {
  storage: Storage
  partials: Partials
  clock: Clock
  bytesMax: number
}): HandedUploads {
  const { storage, partials, clock, bytesMax } = deps
  const keyOf = (id: string, by: Identity) => `${HANDED_UPLOADS}${by.id}/${id}`

  return {
    begin(by) {
      const id = Bun.randomUUIDv7()
      const expiresInSeconds = EXPIRES_IN_SECONDS
      const url = storage.uploadAddress(keyOf(id, by), { expiresInSeconds, bytesMax })
      return {
        id,
        url,
        bytes_max: bytesMax,
        expires_at: isoTime(clock.now() + expiresInSeconds * 1000),
      }
    },
    async receive(id, by, signal) {
      const opened = await storage.open(keyOf(id, by), { signal })
      if (opened === undefined) {
        throw invalid([{ path: ['query', 'upload'], detail: 'is no file that you have sent' }])
      }
      const content = opened.stream({ signal })
      const { path, bytes } = await partials.gather(content, { name: 'upload', bytesMax, signal })
      return { path, bytes, mediaType: undefined, fileName: undefined }
    },
    forget: (id, by) => storage.delete(keyOf(id, by)),
  }
}
