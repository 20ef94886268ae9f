import type { Clock } from '../../platform/clock.ts'
import type { Config } from '../../platform/config.ts'
import type { Database } from '../../platform/database/database.ts'
import type { Jobs } from '../../platform/jobs/jobs.ts'
import type { Log } from '../../platform/log.ts'
import type { Mail } from '../../platform/mail/mail.ts'
import type { Audit } from '../audit/audit.ts'
import { createSeal } from '../keys/seal.ts'
import type { Secrets } from '../keys/secrets.ts'
import type { AuthTables } from '../tables.ts'
import type { Tickets } from '../tickets/tickets.ts'
import { createKeptMail } from './kept-mail.ts'
import { createMailQuota } from './mail-quota.ts'
import { createMailedTickets } from './mailed-tickets.ts'
import { createMailings } from './mailings.ts'

/** What is written to people, and what it leads them to, built of what it shares. */
export function createMailParts(deps: {
  config: Config
  database: Database
  tables: AuthTables
  jobs: Jobs
  tickets: Tickets
  secrets: Secrets
  audit: Audit
  clock: Clock
  log: Log
  /** The server that takes it; without one it is kept for administrators. */
  mail: Mail | undefined
}) {
  const { config, mail } = deps
  const seal = createSeal(deps.secrets, 'mail')
  const keptMail = createKeptMail({ ...deps, seal, messagesMax: config.MAIL_KEPT_MAX })
  const quota = createMailQuota({ ...deps, lettersMax: config.MAILS_PER_ACCOUNT_MAX })
  const mailedTickets = createMailedTickets(deps)
  return {
    keptMail,
    mailedTickets,
    mailings: createMailings({
      ...deps,
      mailedTickets,
      quota,
      mail: mail ?? keptMail,
      isKept: mail === undefined,
      publicUrl: config.PUBLIC_URL,
    }),
  }
}
