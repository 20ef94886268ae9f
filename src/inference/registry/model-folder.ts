import { existsSync, statSync } from 'node:fs'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'

import { StartError } from '../../platform/start-error.ts'
import { createEncoder } from '../features.ts'
import { type Manifest, manifestSchema } from '../manifest.ts'

/** A model on disk: its manifest, where its file is, and a digest of what is in it. */
export interface ModelEntry {
  manifest: Manifest
  path: string
  digest: string
}

/**
 * Reads the latest version of every model below `directory`, by name.
 *
 * @throws {StartError} naming the file that can't be read or does not say what it must.
 */
export async function readModelFolder(directory: string): Promise<ModelEntry[]> {
  if (!isFolder(directory)) {
    throw new StartError(
      `There is no folder ${directory}. Set MODELS_DIR to the one with the models.`,
    )
  }
  const names = await foldersIn(directory)
  return Promise.all(names.map((name) => readLatest(directory, name)))
}

async function readLatest(directory: string, name: string): Promise<ModelEntry> {
  const versions = await foldersIn(join(directory, name))
  const version = versions.toSorted(inNaturalOrder).at(-1)
  if (version === undefined) {
    throw new StartError(`${join(directory, name)} has no folder for a version, such as 1.`)
  }

  const folder = join(directory, name, version)
  const manifest = await readManifest(join(folder, 'manifest.json'))
  if (manifest.name !== name || manifest.version !== version) {
    throw new StartError(
      `${join(folder, 'manifest.json')} is for ${manifest.name}/${manifest.version}, ` +
        `but lies in the folder of ${name}/${version}.`,
    )
  }
  refuseBadExample(manifest, join(folder, 'manifest.json'))
  const path = join(folder, manifest.file)
  if (!existsSync(path)) throw new StartError(`The model file ${path} is missing.`)
  return { manifest, path, digest: await digestOf(path) }
}

async function digestOf(path: string): Promise<string> {
  const content = await Bun.file(path)
    .bytes()
    .catch((cause: unknown) => {
      throw new StartError(`The model file ${path} can't be read.`, { cause })
    })
  return new Bun.CryptoHasher('sha256').update(content).digest('base64url')
}

async function readManifest(path: string): Promise<Manifest> {
  const content: unknown = await Bun.file(path)
    .json()
    .catch((cause: unknown) => {
      throw new StartError(`${path} is missing or no JSON.`, { cause })
    })
  const parsed = manifestSchema.safeParse(content)
  if (parsed.success) return parsed.data
  const faults = parsed.error.issues.map((issue) => `  ${issue.path.join('.')}: ${issue.message}`)
  throw new StartError(`${path} is no model manifest:\n${faults.join('\n')}`)
}

/** What a manifest shows to callers must be what its model takes. */
function refuseBadExample(manifest: Manifest, path: string): void {
  if (manifest.example === undefined) return
  const encoded = createEncoder(manifest)(manifest.example, 1)
  if (!Array.isArray(encoded)) return
  const faults = encoded.map(
    (fault) => `  ${['example', ...fault.path].join('.')}: ${fault.detail}`,
  )
  throw new StartError(`${path} has an example that does not fit its inputs:\n${faults.join('\n')}`)
}

/** Links are followed: a folder of models is often one. */
async function foldersIn(directory: string): Promise<string[]> {
  const names = (await readdir(directory)).filter((name) => !name.startsWith('.'))
  return names.filter((name) => isFolder(join(directory, name))).toSorted()
}

const isFolder = (path: string) => statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false

const inNaturalOrder = new Intl.Collator('en', { numeric: true }).compare
