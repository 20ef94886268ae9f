import { Layout } from './layout.tsx'

/** A session as the page shows it. */
export interface ShownSession {
  id: string
  device: string | null
  address: string | null
  usedAt: string | null
  isCurrent: boolean
}

/** Who I am, and where I am signed in. */
export function AccountPage(props: {
  username: string
  email: string | null
  role: string
  sessions: ShownSession[]
}) {
  const { username, email, role, sessions } = props
  return (
    <Layout title="Your account" isWide>
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
      <h2 id="sessions">Your sessions</h2>
      <ul role="list" aria-labelledby="sessions">
        {sessions.map((session) => (
          <SessionItem {...session} />
        ))}
      </ul>
    </Layout>
  )
}

function SessionItem({ id, device, address, usedAt, isCurrent }: ShownSession) {
  const name = device ?? 'A program'
  return (
    <li>
      <div>
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
