import { join } from 'node:path'

import type { Actor, Identity } from '../../gateway/principal.ts'
import { Problem } from '../../gateway/problem.ts'
import type { Partials } from '../../platform/storage/partial.ts'
import type { Engine } from '../engine/engine.ts'
import { dataProblems } from '../problems.ts'
import type { Additions } from './additions.ts'
import type { VersionRow } from './datasets.ts'
import { uploadRefusal } from './uploads.ts'

/** Rows that came together, and whoever sent them. */
interface Events {
  /** NDJSON; each an object, which has been seen to. */
  lines: string
  rows: number
  identity: Identity
  actor: Actor
}

/** Takes in rows one by one, and makes files of many of them. */
export interface DatasetEvents {
  /**
   * Puts them behind the rows that there are. Resolves when they are stored.
   *
   * @returns the version that they have joined.
   * @throws {Problem} 403, 409, 413, 422, 503.
   */
  add(name: string, events: Events): Promise<VersionRow>
}

/** Those of one dataset that wait to be written together. */
interface Waiting extends Events {
  bytes: number
  resolve: (version: VersionRow) => void
  reject: (reason: unknown) => void
}

const TRIES_MAX = 10

export function createDatasetEvents(deps: {
  additions: Additions
  engine: Engine
  partials: Partials
  limits: {
    /** For which the first of them waits for others. */
    waitMs: number
    /** Of all that wait. */
    pendingBytesMax: number
    expandedBytesMax: number
    timeoutMs: number
  }
}): DatasetEvents {
  const { additions, engine, partials, limits } = deps
  const waiting = new Map<string, Waiting[]>()
  /** Datasets that are written to, each by one batch at a time. */
  const writing = new Set<string>()
  let pendingBytes = 0

  async function write(name: string, batch: readonly Waiting[]): Promise<VersionRow> {
    const [{ identity, actor }] = batch as [Waiting]
    const content = new Blob(batch.map(({ lines }) => lines)).stream()
    const gathering = { name: 'events', bytesMax: limits.pendingBytesMax }
    const { path } = await partials.gather(content, gathering)
    try {
      for (let tries = 1; ; tries += 1) {
        try {
          return await convert(name, path, { identity, actor })
        } catch (error) {
          const isConflict = error instanceof Problem && error.kind === dataProblems.conflict.kind
          // Somebody else added a version meanwhile: it goes behind that.
          if (!isConflict || tries === TRIES_MAX) throw uploadRefusal(error)
        }
      }
    } finally {
      await Bun.file(path).delete()
    }
  }

  async function convert(
    name: string,
    path: string,
    by: Pick<Events, 'identity' | 'actor'>,
  ): Promise<VersionRow> {
    const basis = await additions.requireRight({ name, mode: 'append' }, by.identity)
    const known = basis?.newest.columns ?? []
    return engine.run(
      'convert',
      [path],
      (directory) => ({
        source: path,
        format: 'ndjson',
        compression: 'none',
        path: join(directory, 'rows.parquet'),
        rejectedMax: 0,
        csv: {},
        types: Object.fromEntries(known.map(({ name: column, type }) => [column, type])),
        bytesMax: limits.expandedBytesMax,
        expandedBytesMax: limits.expandedBytesMax,
      }),
      {
        timeoutMs: limits.timeoutMs,
        take(converted, directory) {
          const columns = converted.columns.map((column) => ({
            name: column.name,
            type: column.type,
          }))
          const rows = { ...converted, columns, path: join(directory, 'rows.parquet') }
          const addition = { name, mode: 'append', origin: 'events', isOpen: true } as const
          return additions.add(addition, rows, { ...by, basis }, undefined)
        },
      },
    )
  }

  async function settle(name: string, batch: readonly Waiting[]): Promise<void> {
    try {
      const version = await write(name, batch)
      for (const { resolve } of batch) resolve(version)
    } catch (error) {
      // What is wrong with one of them is not to be the others'.
      if (batch.length > 1 && error instanceof Problem && error.kind.status === 422) {
        for (const each of batch) await settle(name, [each])
      } else {
        for (const { reject } of batch) reject(error)
      }
    }
  }

  async function flush(name: string): Promise<void> {
    if (writing.has(name)) return
    const batch = waiting.get(name)
    if (batch === undefined) return
    waiting.delete(name)
    writing.add(name)
    try {
      await settle(name, batch)
    } finally {
      writing.delete(name)
      for (const { bytes } of batch) pendingBytes -= bytes
      void flush(name)
    }
  }

  return {
    async add(name, events) {
      await additions.requireRight({ name, mode: 'append' }, events.identity)
      const bytes = Buffer.byteLength(events.lines)
      if (pendingBytes + bytes > limits.pendingBytesMax) {
        throw dataProblems.overloaded({
          detail: 'More events wait to be written than may.',
          headers: { 'retry-after': '1' },
        })
      }
      pendingBytes += bytes
      const { promise, resolve, reject } = Promise.withResolvers<VersionRow>()
      const batch = waiting.get(name)
      const each = { ...events, bytes, resolve, reject }
      if (batch === undefined) {
        waiting.set(name, [each])
        setTimeout(() => void flush(name), limits.waitMs)
      } else {
        batch.push(each)
      }
      return promise
    },
  }
}
