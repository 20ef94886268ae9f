// Sends one mail in a process of its own, by the address in SMTP_URL, and says how it went.
import { createSmtpMail } from './smtp.ts'

const [url = ''] = process.argv.slice(2)
const mail = createSmtpMail({ url, from: 'quintet@example.com', timeoutMs: 5000 })
const message = {
  id: 'fixture',
  to: { id: 'ada', address: 'ada@example.com' },
  subject: 'Hello',
  text: 'Hello',
  expiresAt: new Date(),
}
const outcome = await mail.send(message, new AbortController().signal).then(
  () => 'sent',
  (error: unknown) => String(error),
)
process.stdout.write(outcome)
process.exit()
