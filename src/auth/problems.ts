import { defineProblems } from '../gateway/problem.ts'

export const authProblems = defineProblems('auth', {
  badCredentials: { status: 401, title: 'Invalid credentials' },
  badRefreshToken: { status: 401, title: 'Invalid refresh token' },
  accountDisabled: { status: 403, title: 'Account disabled' },
  signupClosed: { status: 403, title: 'Sign-up closed' },
  wrongPassword: { status: 403, title: 'Wrong password' },
  nameTaken: { status: 409, title: 'Name taken' },
  tooManyApiKeys: { status: 409, title: 'Too many API keys' },
  lastAdministrator: { status: 409, title: 'Last administrator' },
  busy: { status: 503, title: 'Too many logins at once' },
})
