import type { Tasks } from './tasks.ts'

/** What a query process is told. */
export type ToProcess =
  | { kind: 'run'; task: keyof Tasks; order: unknown }
  /** Of what it runs: to be given up soon. */
  | { kind: 'interrupt' }

/** What it says. */
export type FromProcess =
  | { kind: 'ready' }
  /** From 0 to 1. */
  | { kind: 'progress'; share: number }
  | { kind: 'done'; result: unknown }
  | { kind: 'failed'; failure: Failure; detail: string }

/** Why there is no result: what was asked can't be done, takes more than it may, was given up, or a bug. */
export type Failure = 'refused' | 'memory' | 'interrupted' | 'bug'
