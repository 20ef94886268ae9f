import { defineProblems } from '../gateway/problem.ts'

export const authProblems = defineProblems('auth', {
  badCredentials: {
    status: 401,
    title: 'Invalid credentials',
    advice: 'Check both, or reset the password.',
  },
  signOnInvalid: {
    status: 400,
    title: 'Invalid sign-on',
    advice: 'Begin the sign-on again, in the same browser.',
  },
  badRefreshToken: { status: 401, title: 'Invalid refresh token', advice: 'Log in again.' },
  badTicket: {
    status: 400,
    title: 'Invalid link',
    advice: 'Ask for another link: each is good once, and not for long.',
  },
  secondFactorRequired: {
    status: 401,
    title: 'Second factor required',
    advice: 'Go on at /api/v1/auth/second-factor with the `ticket`.',
  },
  badSecondFactor: {
    status: 401,
    title: 'Invalid second factor',
    advice: 'Try the code that the app shows now, or a recovery code.',
  },
  badSecondFactorTicket: {
    status: 401,
    title: 'Invalid second-factor ticket',
    advice: 'Log in again: a ticket is good for a few minutes.',
  },
  badPasskey: {
    status: 401,
    title: 'Invalid passkey',
    advice: 'Use a passkey that was set up here, or log in by password.',
  },
  accountDisabled: { status: 403, title: 'Account disabled', advice: 'Ask an administrator.' },
  addressUnverified: {
    status: 403,
    title: 'Address not verified',
    advice: 'Open the link that was sent to your address.',
  },
  signupClosed: {
    status: 403,
    title: 'Sign-up closed',
    advice: 'Ask an administrator for an account.',
  },
  signOnRefused: { status: 403, title: 'Sign-on refused', advice: 'Ask an administrator.' },
  wrongPassword: { status: 403, title: 'Wrong password', advice: 'Send your current password.' },
  loginNotRecent: {
    status: 403,
    title: 'Login not recent',
    advice: 'Log in again, and try once more.',
  },
  nameTaken: { status: 409, title: 'Name taken', advice: 'Choose another name or address.' },
  tooManyApiKeys: {
    status: 409,
    title: 'Too many API keys',
    advice: 'Delete keys that nothing uses.',
  },
  lastAdministrator: {
    status: 409,
    title: 'Last administrator',
    advice: 'Make somebody else an administrator first.',
  },
  noAddress: { status: 409, title: 'No e-mail address', advice: 'Set an e-mail address first.' },
  tooManyFailures: {
    status: 429,
    title: 'Too many failures',
    advice: 'Wait for as long as Retry-After says, or reset the password.',
  },
  totpEnabled: {
    status: 409,
    title: 'TOTP enabled already',
    advice: 'Remove it first, to set it up anew.',
  },
  totpNotBegun: { status: 409, title: 'TOTP not begun', advice: 'Begin at POST /api/v1/me/totp.' },
  noSecondFactor: {
    status: 409,
    title: 'No second factor',
    advice: 'Set up a second factor first, at /account/second-factors or POST /api/v1/me/totp.',
  },
  tooManyPasskeys: {
    status: 409,
    title: 'Too many passkeys',
    advice: 'Remove passkeys that you do not use.',
  },
  passkeyKnown: {
    status: 409,
    title: 'Passkey known already',
    advice: 'Use another authenticator: this one is set up already.',
  },
  badTotpCode: {
    status: 422,
    title: 'Invalid TOTP code',
    advice: 'Send the code that the app shows now, and check its clock.',
  },
  passkeyRefused: {
    status: 422,
    title: 'Passkey refused',
    advice: 'Ask for new options, and try again.',
  },
  tooManyCodes: {
    status: 429,
    title: 'Too many wrong codes',
    advice: 'Wait for as long as Retry-After says, or use another second factor.',
  },
  identityTaken: {
    status: 409,
    title: 'Identity taken',
    advice: 'Log in to the account that it is linked to, and remove it there.',
  },
  lastLogin: {
    status: 409,
    title: 'Last way to log in',
    advice: 'Set a password, or another way to log in, first.',
  },
  providerFailed: {
    status: 502,
    title: 'Identity provider failed',
    advice: 'Try again later, or sign in otherwise.',
  },
  busy: {
    status: 503,
    title: 'Too many logins at once',
    advice: 'Try again after as long as Retry-After says.',
  },
})
