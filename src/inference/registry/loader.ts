import type { Tracing } from '../../platform/tracing/tracing.ts'
import { inputWidth, type Manifest, outputWidth } from '../manifest.ts'
import type { createInferenceMetrics } from '../serving/inference-metrics.ts'
import type { ModelFile } from '../serving/inference.worker.ts'
import type { ModelThreads } from '../serving/model-threads.ts'
import { createServedModel, type ServedModel } from '../serving/served-model.ts'

/** A version of a model, and where its file is on this machine. */
export interface Loadable {
  id: string
  manifest: Manifest
  digest: string
  path: string
}

/** Loads versions of models into the threads, and into this process what has a place here. */
export interface Loader {
  /** @returns the model, and how to take it out again. */
  load(version: Loadable): Promise<{ served: ServedModel; unload: () => Promise<void> }>
}

export function createLoader(deps: {
  threads: ModelThreads
  metrics: ReturnType<typeof createInferenceMetrics>
  tracing: Tracing
  batchRowsMax: number
  queueRowsMax: number
  inPlaceUsMax: number
  rowsMax: number
  valuesMax: number
  explainValuesMax: number
}): Loader {
  const { threads, metrics } = deps
  const keys = new Set<string>()

  /** What is loaded anew while the same is still on its way out has another one. */
  function newKey({ manifest: { name, version } }: Loadable): string {
    const plain = `${name}/${version}`
    let key = plain
    for (let again = 2; keys.has(key); again += 1) key = `${plain}~${again}`
    keys.add(key)
    return key
  }

  return {
    async load(version) {
      const key = newKey(version)
      const { name, version: number } = version.manifest
      const measured = metrics.forModel(name, number)
      const unload = async () => {
        await threads.unload(key)
        keys.delete(key)
        metrics.forget(name, number)
        // What this process had of it would stay until the next collection, which may be far off. Not at once: that blocks.
        Bun.gc(false)
      }
      const file = fileOf(version, key)
      try {
        await threads.load(file)
        const trees = await threads.readTrees(version.path)
        const ofModel = { pool: threads.pool, metrics: measured, trees }
        return { served: createServedModel(version, file, { ...deps, ...ofModel }), unload }
      } catch (error) {
        await unload()
        throw error
      }
    },
  }
}

export const fileOf = (
  { manifest, path, digest }: Pick<Loadable, 'manifest' | 'path' | 'digest'>,
  key: string,
): ModelFile => ({
  key,
  path,
  digest,
  inputs: manifest.inputs,
  inputWidth: inputWidth(manifest),
  outputWidth: outputWidth(manifest),
})
