import type { Writes } from '../database/database.ts'
import type { JobRow, JobState } from './tables.ts'

/** Which of the waiting jobs goes first. */
export type Priority = 'high' | 'normal' | 'low'

/** What is to be done later, by whichever process has time. */
export interface NewJob {
  type: string
  /** What its handler is given: JSON, since another process may run it. */
  payload: object
  /** While a job with this key waits, for its first attempt or the next, a second one is not taken in. */
  key?: string
  priority?: Priority
  /** Not before so much time has passed. */
  delayMs?: number
  attemptsMax?: number
  ownerId?: string
}

/** A job as its owner sees it. */
export type Job = Pick<
  JobRow,
  | 'id'
  | 'type'
  | 'state'
  | 'progress'
  | 'attempt'
  | 'attemptsMax'
  | 'result'
  | 'error'
  | 'ownerId'
  | 'createdAt'
  | 'runAt'
  | 'startedAt'
  | 'finishedAt'
  | 'expiresAt'
>

/** One attempt at a job, as its handler sees it. */
export interface Attempt<Payload> {
  id: string
  payload: Payload
  /** From 1. */
  attempt: number
  ownerId: string | null
  /** Of what enqueued it. The attempt is below that, in the log and among the spans. */
  traceparent: string | null
  /**
   * Aborts when the job is cancelled, takes too long, was given to another process, or this one
   * stops. A handler minds it: until it returns, its place is taken.
   */
  signal: AbortSignal
  /** Tells how far it is, from 0 to 1. Cheap to call often: it is written down now and then. */
  progress(share: number): void
}

export interface JobType<Payload> {
  /**
   * Does the job and returns its result, JSON. What it throws counts as a failed attempt, after
   * which it is tried again, unless it is a {@link JobRefused}.
   */
  run(attempt: Attempt<Payload>): Promise<unknown>
  /** Removes what the result refers to; called before the job is forgotten. */
  dispose?(result: unknown): Promise<void>
}

/** Thrown by a handler: its message is for the owner to read. Other errors are for the log alone. */
export class JobFailed extends Error {
  override name = 'JobFailed'
}

/** The same, and to try again would not help. */
export class JobRefused extends JobFailed {
  override name = 'JobRefused'
}

/** The owner of a job has to wait until some of its others are done. */
export class TooManyJobs extends Error {
  override name = 'TooManyJobs'
  readonly unfinishedMax: number

  constructor(unfinishedMax: number) {
    super(`there are ${unfinishedMax} unfinished jobs`)
    this.unfinishedMax = unfinishedMax
  }
}

/** What happens to jobs, for who wants to hear of it. */
export interface JobUpdate {
  id: string
  type: string
  ownerId: string | null
  state: JobState
  progress: number
}

/** Places for jobs of some types. */
export interface Lane {
  /** Says how jobs of a type are done. Before `start`. */
  handle<Payload>(type: string, jobType: JobType<Payload>): void
}

/**
 * Work that survives: a job is a row, written in the transaction of what it follows from, and done
 * at least once. A process that does one holds a lease on it and says that it lives; the job of a
 * process that falls silent goes to another.
 */
export interface Jobs extends Lane {
  /** Places beside the others, for jobs that are long or need much: who waits for one takes none of theirs. */
  openLane(options: {
    /** Jobs of the lane that this process does at once. */
    concurrency: number
  }): Lane
  /**
   * Enqueues a job of this type at each time that the cron pattern names (UTC). Of several
   * processes one does; times that nobody was there for are made up for by one job.
   */
  schedule(name: string, pattern: string, job: NewJob): void
  /**
   * @returns the job's id: of the one that waits, where there is one with the same key.
   * @throws {TooManyJobs} when its owner has as many unfinished ones as may be.
   */
  enqueue(tx: Writes, job: NewJob): Promise<string>
  get(id: string): Promise<Job | undefined>
  /** The newest first. */
  list(filter: { ownerId?: string; before?: string; limit: number }): Promise<Job[]>
  /** @returns whether there was anything to cancel: a job that has ended has ended. */
  cancel(id: string): Promise<boolean>
  /** Forgets a job that has ended, and removes what its result refers to. @returns whether there was one. */
  forget(id: string): Promise<boolean>
  /**
   * Gives a job whose attempts all failed as many again.
   *
   * @returns whether there was one.
   * @throws {TooManyJobs} as `enqueue`.
   */
  replay(id: string): Promise<boolean>
  /** Hears of jobs that this process does. */
  onUpdate(hear: (update: JobUpdate) => void): void
  start(): Promise<void>
  /** Takes no further job, lets those that run finish until the deadline, gives the others back. */
  stop(deadlineMs: number): Promise<void>
}
