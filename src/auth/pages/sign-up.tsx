import { Field, Layout } from './layout.tsx'

/** A new account that somebody makes for themselves. The password is never put back. */
export function SignUpPage(props: {
  action: string
  /** Whether nobody signs in before the address is verified. */
  needsEmail: boolean
  /** Whether links reach people by themselves. */
  isMailed: boolean
  username?: string | undefined
  email?: string | undefined
  fault?: string | undefined
}) {
  const { action, needsEmail, isMailed, username, email, fault } = props
  const isFaulty = fault !== undefined
  return (
    <Layout title="Sign up" fault={fault}>
      <form method="post" action={action} class="stack">
        <Field
          label="User name"
          name="username"
          autocomplete="username"
          value={username}
          isFaulty={isFaulty}
          isFirst
        />
        <Field
          label={needsEmail ? 'E-mail' : 'E-mail (may be left out)'}
          name="email"
          type="email"
          autocomplete="email"
          value={email}
          hint={isMailed ? 'You get a link there, to show that it is yours.' : undefined}
          isFaulty={isFaulty}
          isOptional={!needsEmail}
        />
        <Field
          label="Password"
          name="password"
          type="password"
          autocomplete="new-password"
          hint="8 to 128 characters of any kind."
          isFaulty={isFaulty}
        />
        <button>Sign up</button>
      </form>
      <p>
        <a href="/sign-in">Sign in instead</a>
      </p>
    </Layout>
  )
}

/** What comes next where the address is to be verified. It is the same whether or not it was taken. */
export function SignedUpPage({ email, isMailed }: { email: string; isMailed: boolean }) {
  return (
    <Layout title={isMailed ? 'Look into your mail' : 'Ask for your link'}>
      {isMailed ? (
        <p role="status">
          A letter is on its way to <strong>{email}</strong>. Open the link in it within a day, and
          then sign in. Should it be too late, sign in: another letter is sent.
        </p>
      ) : (
        <p role="status">
          Your account is made. An administrator has a link for you, which shows that{' '}
          <strong>{email}</strong> is yours: ask for it, and then sign in.
        </p>
      )}
      <p>
        <a href="/sign-in">Sign in</a>
      </p>
    </Layout>
  )
}
