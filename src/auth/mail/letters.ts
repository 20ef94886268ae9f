/** What is written to people, and what a link in it is good for. */
export type Letter = keyof typeof letters

/** Seconds in which a link is good. A reset is for who waits for it; an invitation may wait for Monday. */
export const LINK_TTL_SECONDS = {
  reset_password: 3600,
  set_password: 3 * 86_400,
  verify_email: 86_400,
} as const

const PAGES = {
  reset_password: '/reset-password',
  set_password: '/set-password',
  verify_email: '/verify-email',
} as const

/** From the setting alone: what a request says of its host never makes a link. */
export const linkOf = (publicUrl: string, purpose: keyof typeof PAGES, ticket: string) =>
  `${publicUrl}${PAGES[purpose]}?ticket=${ticket}`

export interface Facts {
  /** Of the server, as people know it. */
  site: string
  /**
   * The user name, where the address is its owner's for sure: whoever makes an account chooses its
   * name, and would have a stranger read it.
   */
  name: string | undefined
  link: string
}

interface Text {
  subject: string
  lines: (facts: Facts) => string[]
}

const greeting = ({ name }: Facts) => (name === undefined ? 'Hello,' : `Hello ${name},`)

const letters = {
  verify_email: {
    subject: 'Verify your e-mail address',
    lines: ({ site, link }) => [
      `somebody, most likely you, gave this address for an account at ${site}.`,
      'To show that it is yours, open this link within a day and type the password of the account:',
      link,
      'If it was not you, do nothing: without both the address counts for nothing.',
    ],
  },
  reset_password: {
    subject: 'Reset your password',
    lines: ({ site, link }) => [
      `somebody, most likely you, has forgotten the password of your account at ${site}.`,
      'To set a new one, open this link within an hour; it works once:',
      link,
      'If it was not you, do nothing: the password stays as it is.',
    ],
  },
  set_password: {
    subject: 'Your account',
    lines: ({ site, link }) => [
      `an administrator has made an account for you at ${site}.`,
      'To set its password, open this link within three days; it works once:',
      link,
      'After that, have a new link sent by “Forgot your password?”.',
    ],
  },
  password_changed: {
    subject: 'Your password was changed',
    lines: ({ site }) => [
      `the password of your account at ${site} was changed, and its other sessions are over.`,
      'If it was not you, reset it and tell an administrator.',
    ],
  },
  email_changed: {
    subject: 'Your e-mail address was changed',
    lines: ({ site }) => [
      `an account at ${site} had this address and has another one now.`,
      'If it was not you, tell an administrator.',
    ],
  },
  email_taken: {
    subject: 'You have an account already',
    lines: ({ site }) => [
      `somebody, most likely you, asked for an account at ${site} with this address.`,
      'There is one already: log in with it, or reset its password.',
      'If it was not you, do nothing: nothing has changed.',
    ],
  },
} satisfies Record<string, Text>

/** Letters with a link, which somebody else may pass on where there is no mail. */
export const isLinked = (letter: Letter): letter is keyof typeof PAGES => letter in PAGES

export function write(letter: Letter, facts: Facts): { subject: string; text: string } {
  const { subject, lines } = letters[letter]
  return { subject, text: [greeting(facts), ...lines(facts), ''].join('\n\n') }
}
