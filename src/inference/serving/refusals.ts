import { inferenceProblems } from '../problems.ts'

export const RETRY_AFTER = { 'retry-after': '1' }

/** Of rows that would wait behind too many others. */
export const overloaded = (waitingRows: number) =>
  inferenceProblems.overloaded({
    detail: `${waitingRows} rows are waiting for this model. Try again later.`,
    headers: RETRY_AFTER,
  })

/** Of rows that nobody waits for; read by nobody. */
export const abandoned = () => inferenceProblems.unavailable({ detail: 'The caller did not wait.' })
