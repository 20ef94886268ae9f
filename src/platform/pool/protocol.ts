/** What the main thread and a worker of the pool say to each other. */
export type ToWorker<Start, Job> =
  | { type: 'start'; start: Start }
  | { type: 'run'; job: Job }
  | { type: 'release' }

export type FromWorker<Ready, Result> =
  | { type: 'ready'; ready: Ready }
  | { type: 'refused'; reason: string }
  | { type: 'done'; result: Result }
  | { type: 'failed'; reason: string }
  | { type: 'released' }
