import type { Problem } from '../../gateway/problem.ts'
import { Layout, pageOf } from './layout.tsx'

/** What could not be done, and a way on. */
export function RefusalPage({ title, detail }: { title: string; detail: string }) {
  return (
    <Layout title={title} fault={detail}>
      <p>
        <a href="/account">Your account</a>
      </p>
    </Layout>
  )
}

/** A refusal as a page tells it. */
export function refusalPage({ kind, options }: Problem): Response {
  const { title, status } = kind
  return pageOf(RefusalPage({ title, detail: options.detail ?? `${title}.` }), { status })
}
