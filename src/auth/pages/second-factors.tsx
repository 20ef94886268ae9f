import { renderSVG } from 'uqr'

import { Field, Layout } from './layout.tsx'
import { PasskeyForm } from './passkey.tsx'

const PASSKEY_OPTIONS = '/api/v1/me/passkeys/options'

/** A passkey as the page shows it. */
interface ShownPasskey {
  id: string
  name: string
  usedAt: string | null
}

/** Where the forms of these pages go. */
export interface SecondFactorActions {
  beginTotp: string
  confirmTotp: string
  removeTotp: string
  recoveryCodes: string
  addPasskey: string
  removePasskey: string
}

/** What I show beside my password, and how to change it. */
export function SecondFactorsPage(props: {
  actions: SecondFactorActions
  isTotpEnabled: boolean
  passkeys: ShownPasskey[]
  recoveryCodesLeft: number
  /** Whether the server lets me do nothing before I have one. */
  isOwing: boolean
  /** Where to go on to. */
  next: string
  fault?: string | undefined
}) {
  const { actions, isTotpEnabled, passkeys, recoveryCodesLeft, isOwing, next, fault } = props
  const isAny = isTotpEnabled || passkeys.length > 0
  return (
    <Layout title="Second factors" fault={fault} isWide>
      {isOwing && (
        <p>
          This server asks for more than a password. <strong>Set up one of these</strong>; until
          then you can do nothing else.
        </p>
      )}
      <h2>Authenticator app</h2>
      {isTotpEnabled ? (
        <form method="post" action={actions.removeTotp} class="stack">
          <p>Signing in asks for a code of your app.</p>
          <button class="plain">Remove the app</button>
        </form>
      ) : (
        <form method="post" action={actions.beginTotp} class="stack">
          <p>An app on your phone shows a code of six digits, another each half minute.</p>
          <button class={isOwing ? undefined : 'plain'}>Set up an app</button>
        </form>
      )}
      <h2 id="passkeys">Passkeys</h2>
      <p>The lock of your device, or a security key: your finger, your face or its PIN.</p>
      {passkeys.length > 0 && (
        <ul role="list" aria-labelledby="passkeys">
          {passkeys.map(({ id, name, usedAt }) => (
            <li>
              <div>
                {name}
                <p class="quiet">{usedAt === null ? 'never used' : `last used ${usedAt}`}</p>
              </div>
              <form method="post" action={actions.removePasskey}>
                <input type="hidden" name="passkey" value={id} />
                <button class="plain" aria-label={`Remove the passkey ${name}`}>
                  Remove
                </button>
              </form>
            </li>
          ))}
        </ul>
      )}
      <PasskeyForm action={actions.addPasskey} optionsPath={PASSKEY_OPTIONS} isNew />
      {isAny && (
        <>
          <h2>Recovery codes</h2>
          <form method="post" action={actions.recoveryCodes} class="stack">
            <p>For when all else is lost. You have {recoveryCodesLeft} left.</p>
            <button class="plain">Make new ones; the old ones are void</button>
          </form>
        </>
      )}
      <p>
        <a href={isOwing ? '/account' : next}>{isOwing ? 'Your account' : 'Go on'}</a>
      </p>
    </Layout>
  )
}

/** The secret for an app, and the form for its first code. */
export function TotpSetupPage(props: {
  action: string
  /** In base32. */
  secret: string
  uri: string
  back: string
  fault?: string | undefined
}) {
  const { action, secret, uri, back, fault } = props
  return (
    <Layout title="Set up an app" fault={fault}>
      <p>Scan this with your authenticator app:</p>
      <div
        class="qr"
        role="img"
        aria-label="QR code for the app"
        dangerouslySetInnerHTML={{ __html: renderSVG(uri, { border: 4 }) }}
      />
      <p>
        Or type this into it: <code>{inFours(secret)}</code>, or{' '}
        <a href={uri}>open it on this device</a>.
      </p>
      <form method="post" action={action} class="stack">
        <input type="hidden" name="secret" value={secret} />
        <Field
          label="Code"
          name="code"
          autocomplete="one-time-code"
          hint="The six digits that the app shows now."
          isFaulty={fault !== undefined}
          isFirst
          isNumeric
        />
        <button>Turn it on</button>
      </form>
      <p>
        <a href={back}>Not now</a>
      </p>
    </Layout>
  )
}

/** Shown once. */
export function RecoveryCodesPage(props: { codes: readonly string[]; next: string }) {
  const { codes, next } = props
  return (
    <Layout title="Recovery codes">
      <p role="status">
        Keep these where you find them without your phone: print them, or put them into your
        password manager. Each is good once, in place of a code or a passkey, and{' '}
        <strong>they are shown this once</strong>.
      </p>
      <pre>{codes.join('\n')}</pre>
      <p>
        <a class="button" href={next}>
          I have kept them
        </a>
      </p>
    </Layout>
  )
}

const inFours = (secret: string) => secret.replace(/.{4}(?=.)/g, '$& ')
