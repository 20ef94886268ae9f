import { defineProblems } from '../gateway/problem.ts'

export const inferenceProblems = defineProblems('inference', {
  unknownModel: {
    status: 404,
    title: 'Unknown model',
    advice: 'See GET /api/v1/models for those that you may use.',
  },
  overloaded: {
    status: 503,
    title: 'Model overloaded',
    advice: 'Try again after as long as Retry-After says.',
  },
  unavailable: {
    status: 503,
    title: 'Model unavailable',
    advice: 'Try again later; the server’s log tells its operator more.',
  },
  notAcceptable: {
    status: 406,
    title: 'Not acceptable',
    advice: 'Send an Accept header with one of the forms that there are, or none.',
  },
  runTimeout: { status: 504, title: 'Model timeout', advice: 'Send fewer rows in one request.' },
})
