import { Layout } from './layout.tsx'

/**
 * Behind the link in a mail stands a button, since programs that check mail for malice open every link,
 * and would use it up.
 */
export function VerifyEmailPage(props: {
  action: string
  ticket: string
  email?: string | undefined
  fault?: string | undefined
  isDone?: boolean
}) {
  const { action, ticket, email, fault, isDone = false } = props
  const address = email === undefined ? 'Your e-mail address' : <strong>{email}</strong>
  return (
    <Layout title="Confirm your e-mail address" fault={fault}>
      {isDone ? (
        <p role="status">{address} is confirmed.</p>
      ) : (
        <form method="post" action={action} class="stack">
          <input type="hidden" name="ticket" value={ticket} />
          {email !== undefined && <p>{address}</p>}
          <button>Confirm</button>
        </form>
      )}
      <p>
        <a href="/account">Your account</a>
      </p>
    </Layout>
  )
}
