import { Field, Layout } from './layout.tsx'

/**
 * Behind the link in a mail stands a form, since programs that check mail for malice open every link,
 * and would use it up. It says whose account the address is for, and asks for that one's password: the
 * mail may have come to somebody else.
 */
export function VerifyEmailPage(props: {
  action: string
  ticket: string
  /** Of the account. */
  username?: string
  email?: string
  asksPassword?: boolean
  fault?: string | undefined
  isDone?: boolean
}) {
  const { action, ticket, username, email, asksPassword = false, fault, isDone = false } = props
  return (
    <Layout title="Confirm your e-mail address" fault={fault}>
      {isDone ? (
        <p role="status">Your e-mail address is confirmed.</p>
      ) : (
        <form method="post" action={action} class="stack">
          <input type="hidden" name="ticket" value={ticket} />
          <p>
            <strong>{email}</strong> for the account <strong>{username}</strong>
            <input type="hidden" name="username" value={username} autocomplete="username" />
          </p>
          {asksPassword && (
            <Field
              label="Password"
              name="password"
              type="password"
              autocomplete="current-password"
              hint="Of this account. If you have none here, somebody else has given your address: close this page."
              isFaulty={fault !== undefined}
              isFirst
            />
          )}
          <button>Confirm</button>
        </form>
      )}
      <p>{isDone ? <a href="/sign-in">Sign in</a> : <a href="/account">Your account</a>}</p>
    </Layout>
  )
}
