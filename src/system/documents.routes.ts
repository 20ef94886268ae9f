import { promisify } from 'node:util'
import { gzip } from 'node:zlib'

import { inlineSource, page } from '../gateway/html-page.ts'
import type { ProblemKind } from '../gateway/problem.ts'
import { problems } from '../gateway/problems.ts'
import { type Route, route } from '../gateway/route.ts'
import { createDocument, problemsOf } from './documents.ts'

const SCRIPT_MAX_AGE_SECONDS = 86_400

/** The one file of Scalar that works alone; its package exports only modules that lie beside it. */
const scalarScript = new URL('browser/standalone.js', import.meta.resolve('@scalar/api-reference'))

/** Nothing that leads away from this server, nor to services of Scalar's makers. */
const scalarSettings = {
  withDefaultFonts: false,
  telemetry: false,
  hideClientButton: true,
  showDeveloperTools: 'never',
  agent: { disabled: true },
  mcp: { disabled: true },
  hideModels: true,
  authentication: { preferredSecurityScheme: 'bearer' },
}

const docsPage = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Quintet API</title>
<link rel="icon" href="data:,">
<body>
<script id="api-reference" data-url="/openapi.json" data-configuration='${JSON.stringify(scalarSettings)}'></script>
<script src="/docs/scalar.js"></script>
</html>`

const problemsStyle = `:root { color-scheme: light dark }
body { max-width: 48rem; margin: 2rem auto; padding: 0 1rem; font: 16px/1.5 system-ui, sans-serif }
th, td { padding: .25rem 1rem .25rem 0; text-align: left; vertical-align: top }
:target { background: light-dark(#ff9, #553) }`

export function documentRoutes(deps: {
  /** Gives every route, these included. */
  routes: () => readonly Route[]
  cookieName: string
}): Route[] {
  const { routes, cookieName } = deps
  let document: unknown
  let compressedScript: Promise<Buffer> | undefined
  return [
    route(
      {
        method: 'get',
        path: '/openapi.json',
        access: 'open',
        isSelfContained: true,
        tag: 'system',
        summary: 'This document',
        answers: {
          200: {
            description: 'OpenAPI 3.1',
            example: { openapi: '3.1.0', info: { title: 'Quintet' } },
          },
        },
      },
      () => ({ body: (document ??= createDocument(routes(), { cookieName })) }),
    ),

    route(
      {
        method: 'get',
        path: '/docs',
        access: 'open',
        isSelfContained: true,
        tag: 'system',
        summary: 'This document, to browse',
        answers: {
          200: { description: 'A page', mediaType: 'text/html', example: '<!doctype html>' },
        },
      },
      () => page(docsPage, { scripts: "'self'", styles: "'unsafe-inline'" }),
    ),

    route(
      {
        method: 'get',
        path: '/docs/scalar.js',
        access: 'open',
        isSelfContained: true,
        tag: 'system',
        summary: 'The script of the page',
        answers: {
          200: { description: 'Scalar', mediaType: 'text/javascript', example: '"use strict"' },
        },
      },
      async (_, { request }) => {
        const headers = {
          'content-type': 'text/javascript; charset=utf-8',
          'cache-control': `public, max-age=${SCRIPT_MAX_AGE_SECONDS}`,
          vary: 'accept-encoding',
        }
        if (!/\bgzip\b/.test(request.headers.get('accept-encoding') ?? '')) {
          return new Response(Bun.file(scalarScript), { headers })
        }
        // 4.4 MB become 1.2; once, and off the main thread.
        compressedScript ??= Bun.file(scalarScript).bytes().then(promisify(gzip))
        return new Response(await compressedScript, {
          headers: { ...headers, 'content-encoding': 'gzip' },
        })
      },
    ),

    route(
      {
        method: 'get',
        path: '/docs/problems',
        access: 'open',
        isSelfContained: true,
        tag: 'system',
        summary: 'Every kind of problem document',
        description: 'The `type` of a problem points here.',
        answers: {
          200: { description: 'A page', mediaType: 'text/html', example: '<!doctype html>' },
        },
      },
      () => {
        const all = [...Object.values(problems), ...routes().flatMap(problemsOf)]
        const kinds = new Map(all.map(({ kind }) => [kind.type, kind]))
        return page(problemsPage([...kinds.values()]), {
          scripts: "'none'",
          styles: inlineSource(problemsStyle),
        })
      },
    ),
  ]
}

/** The advice is ours, and marks up code by backticks. */
const withCode = (text: string) => text.replaceAll(/`([^`]+)`/g, '<code>$1</code>')

function problemsPage(kinds: ProblemKind[]): string {
  const rows = kinds
    .toSorted((one, other) => one.type.localeCompare(other.type))
    .map(({ type, status, title, advice }) => {
      const anchor = type.slice(type.indexOf('#') + 1)
      return `<tr id="${anchor}"><td><code>${anchor}</code><td>${status}<td>${title}<td>${withCode(advice)}`
    })
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Problems · Quintet</title>
<link rel="icon" href="data:,">
<style>${problemsStyle}</style>
<h1>Problems</h1>
<p>What the API refuses, it refuses with a problem document (RFC 9457) of one of these kinds. Its <code>detail</code> says more of the request.</p>
<table><tr><th>kind<th>status<th>title<th>what to do
${rows.join('\n')}
</table>
</html>`
}
