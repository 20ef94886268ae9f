import { inlineSource, page } from '../../gateway/html-page.ts'

import style from './page.css' with { type: 'text' }

/** What JSX makes; it escapes all that is put into it. */
export interface Markup {
  toString(): string
}

const ICON =
  "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 20 20'%3E%3Cpath stroke='%230f8a80' stroke-width='2.4' stroke-linecap='round' d='M2 8v4M6 5v10M10 2v16M14 6v8M18 8.5v3'/%3E%3C/svg%3E"

/** What all pages share. */
export function Layout(props: {
  title: string
  /** Said first, so that who hears the page hears it. */
  fault?: string | undefined
  isWide?: boolean
  children?: unknown
}) {
  const { title, fault, isWide, children } = props
  return (
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <meta name="color-scheme" content="light dark" />
        <title>{`${fault === undefined ? '' : 'Error: '}${title} · Quintet`}</title>
        <link rel="icon" href={ICON} />
        <style dangerouslySetInnerHTML={{ __html: style }} />
      </head>
      <body class={isWide ? 'wide' : undefined}>
        <header>
          <a href="/">
            <svg viewBox="0 0 20 20" width="28" height="28" aria-hidden="true">
              <path
                stroke="currentColor"
                stroke-width="2.4"
                stroke-linecap="round"
                d="M2 8v4M6 5v10M10 2v16M14 6v8M18 8.5v3"
              />
            </svg>
            Quintet
          </a>
        </header>
        <main>
          <h1>{title}</h1>
          {fault !== undefined && (
            <p class="fault" role="alert" id="fault">
              {fault}
            </p>
          )}
          {children}
        </main>
      </body>
    </html>
  )
}

/** An input with its label. With `isFaulty` it points to the fault that the page tells. */
export function Field(props: {
  label: string
  name: string
  /** By the tokens of HTML, so that password managers know it. */
  autocomplete: 'username' | 'email' | 'current-password' | 'new-password' | 'one-time-code' | 'off'
  type?: 'text' | 'password' | 'email'
  value?: string | undefined
  hint?: string | undefined
  isFaulty?: boolean
  isFirst?: boolean
  isOptional?: boolean
  charactersMax?: number
  /** Digits alone, for which phones have a keyboard of their own. */
  isNumeric?: boolean
}) {
  const { label, name, hint, isFaulty } = props
  const described = [
    ...(isFaulty ? ['fault'] : []),
    ...(hint === undefined ? [] : [`${name}-hint`]),
  ]
  return (
    <div class="field">
      <label for={name}>{label}</label>
      {hint !== undefined && (
        <p class="quiet" id={`${name}-hint`}>
          {hint}
        </p>
      )}
      <input
        id={name}
        name={name}
        type={props.type ?? 'text'}
        value={props.value}
        autocomplete={props.autocomplete}
        autocapitalize="none"
        spellcheck={false}
        maxlength={props.charactersMax}
        inputmode={props.isNumeric ? 'numeric' : undefined}
        aria-invalid={isFaulty ? 'true' : undefined}
        aria-describedby={described.length === 0 ? undefined : described.join(' ')}
        autofocus={props.isFirst}
        required={props.isOptional !== true}
      />
    </div>
  )
}

const STYLES = inlineSource(style)

/**
 * The answer that a page is: with no script but those that it says, and forms that lead nowhere but here.
 *
 * @param options.leadsTo another origin to which a form of the page may lead in the end: browsers hold
 * redirects to the same rule.
 */
export function pageOf(
  markup: Markup,
  options: { status?: number; leadsTo?: string | undefined; scripts?: string } = {},
): Response {
  const { status = 200, leadsTo, scripts = "'none'" } = options
  const forms = leadsTo === undefined ? "'self'" : `'self' ${leadsTo}`
  const response = page(textOf(markup), { scripts, styles: STYLES, forms }, status)
  // Under `no-referrer` a form would be sent with `Origin: null`, as if by a stranger.
  response.headers.set('referrer-policy', 'same-origin')
  return response
}

/** The text of a page. */
export const textOf = (markup: Markup) => `<!doctype html>${markup.toString()}`
