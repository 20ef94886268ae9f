import type { SecondFactorMethod } from '../second-factors/second-factors.ts'
import { Field, Layout } from './layout.tsx'
import { PasskeyForm } from './passkey.tsx'

const PASSKEY_OPTIONS = '/api/v1/auth/second-factor/passkey/options'

/** The second step of signing in: a passkey, a code from an app, or one of those that were kept for a loss. */
export function SecondFactorPage(props: {
  /** Where the forms go, with where to return. */
  action: string
  /** What the first step was answered with. */
  ticket: string
  /** All that the account has. */
  methods: readonly SecondFactorMethod[]
  fault?: string | undefined
  /** Whether the fault is that of a recovery code. */
  isRecovery?: boolean
}) {
  const { action, ticket, methods, fault, isRecovery = false } = props
  const isFaulty = fault !== undefined
  const hasTotp = methods.includes('totp')
  const hasRecovery = methods.includes('recovery_code')
  return (
    <Layout title="Second factor" fault={fault}>
      {methods.includes('passkey') && (
        <>
          {!hasTotp && (
            <p>
              Your account asks for a passkey, and for that a browser needs to have passkeys and to
              run scripts. Without it, {hasRecovery ? 'use a recovery code, or ask' : 'ask'} an
              administrator to remove your second factors.
            </p>
          )}
          <PasskeyForm action={action} optionsPath={PASSKEY_OPTIONS} ticket={ticket} />
        </>
      )}
      {hasTotp && (
        <form method="post" action={action} class="stack">
          <input type="hidden" name="ticket" value={ticket} />
          <Field
            label="Code"
            name="code"
            autocomplete="one-time-code"
            hint="The six digits that your authenticator app shows now."
            isFaulty={isFaulty && !isRecovery}
            isFirst={!isRecovery}
            isNumeric
          />
          <button>Go on</button>
        </form>
      )}
      {hasRecovery && (
        <details open={isRecovery}>
          <summary>Use a recovery code instead</summary>
          <form method="post" action={action} class="stack">
            <input type="hidden" name="ticket" value={ticket} />
            <Field
              label="Recovery code"
              name="recovery_code"
              autocomplete="off"
              hint="One of those that you kept. Each is good once."
              isFaulty={isFaulty && isRecovery}
              isFirst={isRecovery}
            />
            <button class="plain">Go on with it</button>
          </form>
        </details>
      )}
      <p>
        <a href="/sign-in">Sign in as somebody else</a>
      </p>
    </Layout>
  )
}
