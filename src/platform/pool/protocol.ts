/** What the main thread and a worker of the pool say to each other. */
export type ToWorker<Start, Job> =
  | { type: 'start'; start: Start }
  | { type: 'run'; job: Job; isTimed?: true }
  | { type: 'release' }

/** From when to when a worker was at a job, by its own clock, in milliseconds since the Unix epoch. */
export interface RunTime {
  startedAt: number
  endedAt: number
}

export type FromWorker<Ready, Result> =
  | { type: 'ready'; ready: Ready }
  | { type: 'refused'; reason: string }
  | { type: 'done'; result: Result; time?: RunTime }
  | { type: 'failed'; reason: string; time?: RunTime }
  | { type: 'released' }
