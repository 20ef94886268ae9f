import { defineProblems } from '../gateway/problem.ts'

export const authProblems = defineProblems('auth', {
  badCredentials: { status: 401, title: 'Invalid credentials' },
  wrongPassword: { status: 403, title: 'Wrong password' },
  nameTaken: { status: 409, title: 'Name taken' },
  busy: { status: 503, title: 'Too many logins at once' },
})
