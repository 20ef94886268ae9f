import type { Fault } from '../../gateway/problems.ts'
import type { Manifest } from '../manifest.ts'
import type { GivenManifest } from './complete-manifest.ts'

/** An upload that is to be judged. */
export interface AdmissionOrder {
  /** Of the file, which only the judge may open. */
  path: string
  name: string
  manifest: GivenManifest
  /** As `Examples`, unchecked. */
  examples: unknown
}

/** What became of it. */
export type Verdict =
  | { isAdmitted: true; manifest: Manifest }
  | {
      isAdmitted: false
      /** Of the file, or of what was said of it. */
      of: 'model' | 'manifest' | 'examples'
      faults: Fault[]
    }
