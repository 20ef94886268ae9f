import { defineProblems } from '../gateway/problem.ts'

export const filesProblems = defineProblems('files', {
  badSignature: { status: 403, title: 'Bad signature' },
  addressExpired: { status: 403, title: 'Address expired' },
  rangeNotSatisfiable: { status: 416, title: 'Range not satisfiable' },
})
