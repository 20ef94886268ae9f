import type { Problem } from '../../gateway/problem.ts'
import { Layout, pageOf } from './layout.tsx'

/** What could not be done, and a way on. */
export function RefusalPage(props: { title: string; detail: string; isSignOn?: boolean }) {
  const { title, detail, isSignOn } = props
  return (
    <Layout title={title} fault={detail}>
      {isSignOn && (
        <p>
          <a href="/sign-in">Sign in again, or in another way</a>
        </p>
      )}
      <p>
        <a href="/account">Your account</a>
      </p>
    </Layout>
  )
}

/** A refusal as a page tells it. */
export const refusalPage = (problem: Problem): Response => answerTo(problem, false)

/** A refusal of somebody who came to sign in, and has perhaps no account yet. */
export const signOnRefusalPage = (problem: Problem): Response => answerTo(problem, true)

function answerTo({ kind, options }: Problem, isSignOn: boolean): Response {
  const { title, status, advice } = kind
  return pageOf(RefusalPage({ title, detail: options.detail ?? advice, isSignOn }), { status })
}
