import { defineProblems } from '../gateway/problem.ts'

export const filesProblems = defineProblems('files', {
  badSignature: {
    status: 403,
    title: 'Bad signature',
    advice: 'Use the address as it was handed out, to the letter.',
  },
  addressExpired: { status: 403, title: 'Address expired', advice: 'Ask for a new address.' },
})

export const jobsProblems = defineProblems('jobs', {
  notFailed: {
    status: 409,
    title: 'Job has not failed',
    advice: 'Wait for its end: only jobs that failed are replayed.',
  },
})
