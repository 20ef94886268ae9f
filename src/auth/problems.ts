import { defineProblems } from '../gateway/problem.ts'

export const authProblems = defineProblems('auth', {
  badCredentials: { status: 401, title: 'Invalid credentials' },
  badRefreshToken: { status: 401, title: 'Invalid refresh token' },
  badTicket: { status: 400, title: 'Invalid link' },
  accountDisabled: { status: 403, title: 'Account disabled' },
  addressUnverified: { status: 403, title: 'Address not verified' },
  signupClosed: { status: 403, title: 'Sign-up closed' },
  wrongPassword: { status: 403, title: 'Wrong password' },
  nameTaken: { status: 409, title: 'Name taken' },
  lastAdministrator: { status: 409, title: 'Last administrator' },
  noAddress: { status: 409, title: 'No e-mail address' },
  tooManyFailures: { status: 429, title: 'Too many failures' },
  busy: { status: 503, title: 'Too many logins at once' },
})
