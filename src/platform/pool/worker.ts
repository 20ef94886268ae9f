import { epochMs } from '../clock.ts'
import type { FromWorker, ToWorker } from './protocol.ts'

declare const self: Worker

/** What a `*.worker.ts` does. Each is called once at a time. */
export interface WorkerBody<Start, Ready, Job, Result> {
  /** Loads what the jobs need. What it throws is the reason for which the pool does not open. */
  start(start: Start): Promise<Ready>
  run(job: Job): Promise<Result>
  /** Gives native memory back; the thread ends after it. */
  release(): Promise<void>
}

/** Serves a pool from inside a Bun worker. */
export function serveWorker<Start, Ready, Job, Result>(
  body: WorkerBody<Start, Ready, Job, Result>,
): void {
  self.addEventListener('message', ({ data }: MessageEvent<ToWorker<Start, Job>>) => {
    void answer(body, data).then((reply) => self.postMessage(reply))
  })
}

async function answer<Start, Ready, Job, Result>(
  body: WorkerBody<Start, Ready, Job, Result>,
  message: ToWorker<Start, Job>,
): Promise<FromWorker<Ready, Result>> {
  switch (message.type) {
    case 'start':
      return body.start(message.start).then(
        (ready) => ({ type: 'ready', ready }),
        (error: unknown) => ({ type: 'refused', reason: reasonOf(error) }),
      )
    case 'run': {
      if (message.isTimed !== true) return run(body, message.job)
      const startedAt = epochMs()
      const reply = await run(body, message.job)
      return { ...reply, time: { startedAt, endedAt: epochMs() } }
    }
    case 'release':
      await body.release().catch(() => {})
      return { type: 'released' }
  }
}

const run = <Job, Result>(
  body: Pick<WorkerBody<never, unknown, Job, Result>, 'run'>,
  job: Job,
): Promise<Extract<FromWorker<never, Result>, { type: 'done' | 'failed' }>> =>
  body.run(job).then(
    (result) => ({ type: 'done', result }),
    (error: unknown) => ({ type: 'failed', reason: reasonOf(error) }),
  )

const reasonOf = (error: unknown) => (error instanceof Error ? error.message : String(error))
