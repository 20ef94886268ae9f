import { defineProblems } from '../gateway/problem.ts'

export const inferenceProblems = defineProblems('inference', {
  unknownModel: {
    status: 404,
    title: 'Unknown model',
    advice: 'See GET /api/v1/models for those that you may use.',
  },
  refusedModel: {
    status: 422,
    title: 'Refused model',
    advice: 'Mend what `errors` names, and upload it again. What serves goes on serving.',
  },
  quotaExceeded: {
    status: 413,
    title: 'Quota exceeded',
    advice: 'Remove versions that no traffic leads to, or ask the operator for more.',
  },
  inUse: {
    status: 409,
    title: 'Model in use',
    advice: 'Lead its traffic elsewhere first, or unload the model.',
  },
  conflict: {
    status: 409,
    title: 'Model changed meanwhile',
    advice: 'Look at what it is now, and try again.',
  },
  notLoaded: {
    status: 503,
    title: 'Model not loaded',
    advice: 'Load it, or ask whoever owns it to.',
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
