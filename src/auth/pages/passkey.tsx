import { inlineSource } from '../../gateway/html-page.ts'
import { Field } from './layout.tsx'
import script from './passkey.client.js' with { type: 'text' }

/** What a page with the button has to let run. */
export const PASSKEY_SCRIPT = inlineSource(script)

/**
 * The button to show a passkey, or to make one, which takes a script: without one, or where the browser
 * has none, it is not there. What the authenticator says goes to the server as a form, so that it answers
 * as to the others.
 */
export function PasskeyForm(props: {
  action: string
  /** Where the script gets what the browser is to ask for. */
  optionsPath: string
  /** What the first step was answered with, where this is the second. */
  ticket?: string
  /** Whether it makes one, and asks for its name. */
  isNew?: boolean
}) {
  const { action, optionsPath, ticket, isNew = false } = props
  return (
    <>
      <form
        method="post"
        action={action}
        class="stack"
        hidden
        data-passkey={isNew ? 'new' : 'known'}
        data-options={optionsPath}
        data-ticket={ticket}
      >
        {ticket !== undefined && <input type="hidden" name="ticket" value={ticket} />}
        <input type="hidden" name="response" />
        {isNew && (
          <Field
            label="Name of the passkey"
            name="name"
            autocomplete="off"
            hint="By which you will know it, such as “My laptop”."
            charactersMax={64}
          />
        )}
        <button class="plain">{isNew ? 'Make a passkey' : 'Use a passkey'}</button>
        <p class="quiet" role="status" />
      </form>
      <script type="module" dangerouslySetInnerHTML={{ __html: script }} />
    </>
  )
}
