import { Field, Layout } from './layout.tsx'

/** Asks for a link. What it says afterwards does not tell whether there is such an account. */
export function ForgotPasswordPage(props: {
  action: string
  fault?: string | undefined
  username?: string | undefined
  /** Whether links reach people by themselves. */
  isMailed: boolean
  isSent?: boolean
}) {
  const { action, fault, username, isMailed, isSent = false } = props
  return (
    <Layout title="Forgot your password?" fault={fault}>
      {isSent ? (
        <p role="status">
          {isMailed
            ? 'If there is an account of that name with an e-mail address, a link is on its way there.'
            : 'If there is an account of that name, an administrator has a link for you: ask for it.'}{' '}
          It is good once, and for an hour.
        </p>
      ) : (
        <form method="post" action={action} class="stack">
          <Field
            label="User name or e-mail"
            name="username"
            autocomplete="username"
            value={username}
            hint="You get a link by which you set a new password."
            isFaulty={fault !== undefined}
            isFirst
          />
          <button>{isMailed ? 'Send the link' : 'Ask for the link'}</button>
        </form>
      )}
      <p>
        <a href="/sign-in">Sign in</a>
      </p>
    </Layout>
  )
}

/** Sets a password by a link: a new one for an account that had one, or the first. */
export function NewPasswordPage(props: {
  action: string
  ticket: string
  isFirst?: boolean
  /** So that a password manager knows whose it keeps. */
  username?: string | undefined
  fault?: string | undefined
}) {
  const { action, ticket, isFirst = false, username, fault } = props
  const title = isFirst ? 'Set your password' : 'Set a new password'
  return (
    <Layout title={title} fault={fault}>
      <form method="post" action={action} class="stack">
        <input type="hidden" name="ticket" value={ticket} />
        {username !== undefined && (
          <p>
            For <strong>{username}</strong>
            <input type="hidden" name="username" value={username} autocomplete="username" />
          </p>
        )}
        <Field
          label="New password"
          name="password"
          type="password"
          autocomplete="new-password"
          hint={
            isFirst
              ? '8 to 128 characters of any kind.'
              : '8 to 128 characters of any kind. You are signed out everywhere.'
          }
          isFaulty={fault !== undefined}
          isFirst
        />
        <button>{title}</button>
      </form>
    </Layout>
  )
}
