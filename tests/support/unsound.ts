import type { InferenceJob } from '../../src/inference/serving/inference.worker.ts'
import { POISON } from './poison.ts'

declare const self: Worker

/** A native call that does not come back in its time, and does so later. */
const HANG_MS = 1200

// Before the real worker, which is imported after it.
self.addEventListener('message', (event: MessageEvent<{ type: string; job?: InferenceJob }>) => {
  const { job } = event.data
  if (job === undefined || !('values' in job)) return
  if (job.values.includes(POISON.throws)) {
    event.stopImmediatePropagation()
    setTimeout(() => {
      throw new Error('outside of the job')
    }, 0)
  }
  if (job.values.includes(POISON.exits)) process.exit(0)
  if (job.values.includes(POISON.hangs)) {
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, HANG_MS)
  }
})
