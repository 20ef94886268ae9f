import { defineProblems } from '../gateway/problem.ts'

export const inferenceProblems = defineProblems('inference', {
  unknownModel: { status: 404, title: 'Unknown model' },
  overloaded: { status: 503, title: 'Model overloaded' },
  unavailable: { status: 503, title: 'Model unavailable' },
  runTimeout: { status: 504, title: 'Model timeout' },
})
