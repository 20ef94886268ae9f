// The server's own worker, in threads that crash and hang. What fails hears of each job first.
export * from './unsound.ts'
export * from '../../src/inference/serving/inference.worker.ts'
