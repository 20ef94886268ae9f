import { defineProblems } from '../gateway/problem.ts'

export const authProblems = defineProblems('auth', {
  badCredentials: { status: 401, title: 'Invalid credentials' },
  signOnInvalid: { status: 400, title: 'Invalid sign-on' },
  badSignOnCode: { status: 401, title: 'Invalid sign-on code' },
  badRefreshToken: { status: 401, title: 'Invalid refresh token' },
  accountDisabled: { status: 403, title: 'Account disabled' },
  signupClosed: { status: 403, title: 'Sign-up closed' },
  signOnRefused: { status: 403, title: 'Sign-on refused' },
  wrongPassword: { status: 403, title: 'Wrong password' },
  nameTaken: { status: 409, title: 'Name taken' },
  lastAdministrator: { status: 409, title: 'Last administrator' },
  identityTaken: { status: 409, title: 'Identity taken' },
  lastLogin: { status: 409, title: 'Last way to log in' },
  providerFailed: { status: 502, title: 'Identity provider failed' },
  busy: { status: 503, title: 'Too many logins at once' },
})
