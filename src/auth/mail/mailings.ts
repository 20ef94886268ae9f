import { eq } from 'drizzle-orm'

import { SERVER } from '../../gateway/principal.ts'
import type { Clock } from '../../platform/clock.ts'
import type { Database, Writes } from '../../platform/database/database.ts'
import { JobRefused, type Jobs } from '../../platform/jobs/jobs.ts'
import { type Mail, MailRefused, type Message } from '../../platform/mail/mail.ts'
import { NO_PASSWORD, type User } from '../accounts/new-user.ts'
import type { Audit } from '../audit/audit.ts'
import type { AuthTables } from '../tables.ts'
import { isLinked, type Letter, LINK_TTL_SECONDS, linkOf, write } from './letters.ts'
import type { MailQuota } from './mail-quota.ts'
import { addressOf, type MailedPurpose, type MailedTickets } from './mailed-tickets.ts'

/** With the back-off of jobs, the better part of an hour. */
const ATTEMPTS_MAX = 12
/** How long a letter without a link is of interest. */
const NOTE_TTL_SECONDS = 86_400

const TYPE = 'mail.send'

/** The link is made when the letter is: nothing that is stored of a job is worth stealing. */
interface Payload {
  letter: Letter
  /** None where there is nobody to write to: what is asked for does the same work then. */
  account_id: string | null
  /** Where it goes elsewhere than to the account's own address. */
  address?: string
}

interface Mailing {
  letter: Letter
  accountId: string | null
  address?: string | undefined
}

/** Letters to the owners of accounts, a job each. */
export interface Mailings {
  /**
   * Within the write of what it tells of. Where nothing is mailed, letters without a link are left out,
   * but for the one that stands for another: it must leave the same traces.
   */
  enqueue(tx: Writes, mailing: Mailing): Promise<void>
  /** Whether an account is reached without an administrator. Who is shut out is sent nothing. */
  reaches(account: Pick<User, 'email' | 'disabledAt'>): boolean
  /** Within a write: the link to set a first password, for who makes the account to pass on. */
  setPasswordLink(tx: Writes, account: User): Promise<string>
}

export function createMailings(deps: {
  database: Database
  tables: AuthTables
  jobs: Jobs
  mailedTickets: MailedTickets
  audit: Audit
  quota: MailQuota
  clock: Clock
  /** The server that takes mail, or what keeps it for administrators. */
  mail: Mail
  isKept: boolean
  /** Alone makes the links: a request can't have them lead elsewhere. */
  publicUrl: string
}): Mailings {
  const { database, jobs, mailedTickets, audit, quota, clock, mail, isKept, publicUrl } = deps
  const { accounts } = deps.tables
  const site = new URL(publicUrl).host

  async function issueLink(
    tx: Writes,
    purpose: MailedPurpose,
    account: User,
    options: { isMailed: boolean },
  ) {
    const ticket = await mailedTickets.issue(tx, purpose, account, options)
    return linkOf(publicUrl, purpose, ticket)
  }

  /** @returns `undefined` where nobody is to get it, or not now. */
  async function compose(id: string, payload: Payload, isFirst: boolean) {
    const { letter, account_id } = payload
    // For administrators there is nothing to do about a letter without a link.
    if (account_id === null || (isKept && !isLinked(letter))) return undefined
    return database.write(async (tx): Promise<Message | undefined> => {
      // Locked: with an address or a password that changes meanwhile, the link would outlive it.
      const [account] = await database.lock(
        tx.select().from(accounts).where(eq(accounts.id, account_id)),
      )
      if (account === undefined || !isWanted(letter, account)) return undefined
      const address = payload.address ?? addressOf(letter, account)
      if (address === null && !isKept) return undefined
      if (isFirst && !(await quota.take(tx, letter, { id: account.id, address }))) return undefined
      const seconds = isLinked(letter) ? LINK_TTL_SECONDS[letter] : NOTE_TTL_SECONDS
      const link = isLinked(letter)
        ? await issueLink(tx, letter, account, { isMailed: !isKept })
        : ''
      const isKnown = address === account.email && account.emailVerifiedAt !== null
      const isTheirs = letter === 'set_password' || isKnown
      return {
        id,
        to: { id: account.id, address },
        ...write(letter, { site, name: isTheirs ? account.username : undefined, link }),
        expiresAt: new Date(clock.now() + seconds * 1000),
      }
    })
  }

  jobs.handle<Payload>(TYPE, {
    async run({ id, payload, attempt, signal }) {
      const message = await compose(id, payload, attempt === 1)
      if (message === undefined) return
      try {
        await mail.send(message, signal)
      } catch (error) {
        if (!(error instanceof MailRefused)) throw error
        const { letter } = payload
        await database.write((tx) =>
          audit.record(tx, SERVER, 'auth.mail_refused', { user_id: message.to.id, letter }),
        )
        throw new JobRefused('The mail server refused it.')
      }
    },
  })

  return {
    async enqueue(tx, { letter, accountId, address }) {
      if (isKept && !isLinked(letter) && letter !== 'email_taken') return
      const payload: Payload = {
        letter,
        account_id: accountId,
        ...(address === undefined ? {} : { address }),
      }
      await jobs.enqueue(tx, { type: TYPE, payload, attemptsMax: ATTEMPTS_MAX })
    },
    reaches: ({ email, disabledAt }) => !isKept && email !== null && disabledAt === null,
    setPasswordLink: (tx, account) => issueLink(tx, 'set_password', account, { isMailed: false }),
  }
}

/** Whether the account, as it is by now, still has a use for it. */
function isWanted(letter: Letter, account: User): boolean {
  if (account.disabledAt !== null) return false
  if (letter === 'verify_email') {
    return account.emailPending !== null || (account.email !== null && !account.emailVerifiedAt)
  }
  if (letter === 'set_password') return account.passwordHash === NO_PASSWORD
  return true
}
