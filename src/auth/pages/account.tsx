import { deviceName } from './device.ts'
import { Field, Layout } from './layout.tsx'

/** A session as the page shows it. */
export interface ShownSession {
  id: string
  /** As it calls itself. */
  device: string | null
  address: string | null
  usedAt: string | null
  isCurrent: boolean
}

/** Who I am, where I am signed in, and how. */
export function AccountPage(props: {
  username: string
  email: string | null
  role: string
  sessions: ShownSession[]
  /** Whether I have one to change. */
  hasPassword: boolean
  /** What is wrong with the passwords that I typed. */
  fault?: string | undefined
  /** What was done a moment ago. */
  done?: string | undefined
}) {
  const { username, email, role, sessions, hasPassword, fault, done } = props
  return (
    <Layout title="Your account" isWide fault={fault}>
      {done !== undefined && <p role="status">{done}</p>}
      <p>
        Signed in as <strong>{username}</strong>
        {email !== null && ` (${email})`}, with the role {role}.
      </p>
      <form method="post" action="/sign-out">
        <button>Sign out</button>
      </form>
      <p>
        <a href="/account/second-factors">Second factors</a>: an app, passkeys, recovery codes
      </p>
      {hasPassword && <PasswordForm username={username} isFaulty={fault !== undefined} />}
      <h2 id="sessions">Your sessions</h2>
      <ul role="list" aria-labelledby="sessions">
        {sessions.map((session) => (
          <SessionItem {...session} />
        ))}
      </ul>
      {sessions.length > 1 && (
        <form method="post" action="/account/sessions/others">
          <button class="plain">End all others</button>
        </form>
      )}
    </Layout>
  )
}

function PasswordForm({ username, isFaulty }: { username: string; isFaulty: boolean }) {
  return (
    <details open={isFaulty}>
      <summary>Change your password</summary>
      <form method="post" action="/account/password" class="stack">
        <input type="hidden" name="username" value={username} autocomplete="username" />
        <Field
          label="Current password"
          name="current_password"
          type="password"
          autocomplete="current-password"
          isFaulty={isFaulty}
        />
        <Field
          label="New password"
          name="password"
          type="password"
          autocomplete="new-password"
          hint="8 to 128 characters of any kind. Your other sessions end."
          isFaulty={isFaulty}
        />
        <button class="plain">Change it</button>
      </form>
    </details>
  )
}

function SessionItem({ id, device, address, usedAt, isCurrent }: ShownSession) {
  const name = device === null ? 'A program' : deviceName(device)
  return (
    <li>
      <div title={device ?? undefined}>
        {name}
        <p class="quiet">
          {[
            ...(isCurrent ? ['This browser'] : []),
            ...(address === null ? [] : [`from ${address}`]),
            ...(usedAt === null ? [] : [`last used ${usedAt}`]),
          ].join(', ')}
        </p>
      </div>
      {!isCurrent && (
        <form method="post" action="/account/sessions">
          <input type="hidden" name="session" value={id} />
          <button class="plain" aria-label={`End the session of ${name}`}>
            End
          </button>
        </form>
      )}
    </li>
  )
}
