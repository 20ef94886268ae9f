import { Field, Layout } from './layout.tsx'
import { PasskeyForm } from './passkey.tsx'

const PASSKEY_OPTIONS = '/api/v1/auth/passkeys/login/options'

/** Another way in: a provider of identities, and where it begins. */
export interface ProviderLink {
  name: string
  path: string
}

/** Name and password, and what else lets in. The password is never put back. */
export function SignInPage(props: {
  /** Where the form goes, with where to return. */
  action: string
  username?: string | undefined
  fault?: string | undefined
  /** What happened before. */
  notice?: string | undefined
  /** Whose session this browser has already. */
  signedInAs?: string | undefined
  providers?: ProviderLink[]
  /** Where a passkey goes, with where to return. */
  passkeyAction?: string
  forgotPath?: string
  /** Where people may make an account for themselves. */
  signUpPath?: string | undefined
}) {
  const { action, username, fault, providers = [], passkeyAction, forgotPath, signUpPath } = props
  const { notice, signedInAs } = props
  return (
    <Layout title="Sign in" fault={fault}>
      {notice !== undefined && <p role="status">{notice}</p>}
      {signedInAs !== undefined && (
        <p>
          You are signed in as <strong>{signedInAs}</strong>: go to{' '}
          <a href="/account">your account</a>, or <a href="/sign-out">sign out</a>.
        </p>
      )}
      <form method="post" action={action} class="stack">
        <Field
          label="User name or e-mail"
          name="username"
          autocomplete="username"
          value={username}
          isFaulty={fault !== undefined}
          isFirst={username === undefined}
        />
        <Field
          label="Password"
          name="password"
          type="password"
          autocomplete="current-password"
          isFaulty={fault !== undefined}
          isFirst={username !== undefined}
        />
        <button>Sign in</button>
      </form>
      {forgotPath !== undefined && (
        <p>
          <a href={forgotPath}>Forgot your password?</a>
        </p>
      )}
      {passkeyAction !== undefined && (
        <PasskeyForm action={passkeyAction} optionsPath={PASSKEY_OPTIONS} />
      )}
      {providers.length > 0 && <p class="or quiet">or</p>}
      {providers.map(({ name, path }) => (
        <a class="button" href={path}>{`Continue with ${name}`}</a>
      ))}
      {signUpPath !== undefined && (
        <p>
          <a href={signUpPath}>Sign up for an account</a>
        </p>
      )}
    </Layout>
  )
}
