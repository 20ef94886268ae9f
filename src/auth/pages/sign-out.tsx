import { Layout } from './layout.tsx'

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
