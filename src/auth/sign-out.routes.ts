import { type Route, route } from '../gateway/route.ts'
import type { BrowserEntry } from './browser-entry.ts'
import { pageOf } from './pages/layout.tsx'
import { refusalPage } from './pages/refusal.tsx'
import { SignOutPage } from './pages/sign-out.tsx'

const SIGN_OUT = '/sign-out'

/** The page by which people sign a browser out. */
export function signOutRoutes(entry: BrowserEntry): Route[] {
  const page = { access: 'open', isPage: true, tag: 'pages', path: SIGN_OUT } as const
  return [
    route(
      {
        ...page,
        method: 'get',
        summary: 'The button to sign out',
        answers: { 200: { description: 'A page' } },
      },
      () => pageOf(SignOutPage({ action: SIGN_OUT })),
    ),

    route(
      {
        ...page,
        method: 'post',
        summary: 'Sign out',
        answers: { 303: { description: 'Signed out, and on to the form to sign in' } },
        refusal: refusalPage,
      },
      (_, context) => entry.leave(context),
    ),
  ]
}
