import type { Problem } from '../../gateway/problem.ts'
import { Layout, pageOf } from './layout.tsx'

/** Where to go on from a refusal, beside one's account. */
interface Way {
  href: string
  text: string
}

/** What could not be done, and a way on. */
export function RefusalPage(props: { title: string; detail: string; way?: Way | undefined }) {
  const { title, detail, way } = props
  return (
    <Layout title={title} fault={detail}>
      {way !== undefined && (
        <p>
          <a href={way.href}>{way.text}</a>
        </p>
      )}
      <p>
        <a href="/account">Your account</a>
      </p>
    </Layout>
  )
}

/** A refusal as a page tells it. */
export const refusalPage = (problem: Problem): Response => refusalPageWith(problem, undefined)

/** The same with a way on, where one helps. */
export function refusalPageWith({ kind, options }: Problem, way: Way | undefined): Response {
  const { title, status, advice } = kind
  return pageOf(RefusalPage({ title, detail: options.detail ?? advice, way }), { status })
}

/** A refusal of somebody who came to sign in, and has perhaps no account yet. */
export const signOnRefusalPage = (problem: Problem): Response =>
  refusalPageWith(problem, { href: '/sign-in', text: 'Sign in again, or in another way' })
