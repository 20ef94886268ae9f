import { Field, Layout } from './layout.tsx'
import { PasskeyForm } from './passkey.tsx'

const PASSKEY_OPTIONS = '/api/v1/auth/passkeys/login/options'

/** Another way in: a provider of identities, and where it begins. */
export interface Provider {
  name: string
  path: string
}

/** Name and password, and what else lets in. The password is never put back. */
export function SignInPage(props: {
  /** Where the form goes, with where to return. */
  action: string
  username?: string | undefined
  fault?: string | undefined
  providers?: Provider[]
  /** Where a passkey goes, with where to return. */
  passkeyAction?: string
  forgotPath?: string
}) {
  const { action, username, fault, providers = [], passkeyAction, forgotPath } = props
  return (
    <Layout title="Sign in" fault={fault}>
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
    </Layout>
  )
}

export function SignOutPage({ action }: { action: string }) {
  return (
    <Layout title="Sign out">
      <p>This ends your session in this browser.</p>
      <form method="post" action={action}>
        <button>Sign out</button>
      </form>
    </Layout>
  )
}
