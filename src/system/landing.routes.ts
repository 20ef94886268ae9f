import packageJson from '../../package.json' with { type: 'json' }
import { inlineSource, page } from '../gateway/html-page.ts'
import { type Route, route } from '../gateway/route.ts'
import script from './landing/landing.client.js' with { type: 'text' }
import markup from './landing/landing.html' with { type: 'text' }

import style from './landing/landing.css' with { type: 'text' }

const VARY = { vary: 'accept, origin' }

const welcome = {
  service: 'quintet',
  version: packageJson.version,
  links: { health: '/health', models: '/api/v1/models', docs: '/docs', openapi: '/openapi.json' },
}

/** One page that needs nothing else: its style and script stand in it, admitted by their hashes. */
export function landingRoutes(): Route[] {
  const html = (markup as unknown as string)
    .replace('<!-- style -->', () => `<style>${style}</style>`)
    .replace('<!-- script -->', () => `<script type="module">${script}</script>`)
  const policy = { scripts: inlineSource(script), styles: inlineSource(style) }

  return [
    route(
      {
        method: 'get',
        path: '/',
        access: 'open',
        isSelfContained: true,
        tag: 'system',
        summary: 'What this is',
        description: 'A page for browsers; JSON for everything else.',
        answers: { 200: { description: 'Name, version and links', example: welcome } },
      },
      (_, { request }) => {
        const isBrowser = request.headers.get('accept')?.includes('text/html') ?? false
        if (!isBrowser) return { body: welcome, headers: VARY }
        const response = page(html, policy)
        response.headers.set('vary', VARY.vary)
        return response
      },
    ),
  ]
}
