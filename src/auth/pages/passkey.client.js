// Shows the button where the browser has passkeys, and sends what the authenticator says as a form.
const form = document.querySelector('form[data-passkey]')
const button = form?.querySelector('button')
const status = form?.querySelector('[role="status"]')
const isNew = form?.dataset.passkey === 'new'

async function ask() {
  const { options: path, ticket } = form.dataset
  const answer = await fetch(path, {
    method: 'POST',
    ...(ticket === undefined
      ? {}
      : { headers: { 'content-type': 'application/json' }, body: JSON.stringify({ ticket }) }),
  })
  const options = await answer.json()
  if (!answer.ok) throw new Error([options.title, options.detail].filter(Boolean).join('. '))
  const credential = isNew
    ? await navigator.credentials.create({
        publicKey: PublicKeyCredential.parseCreationOptionsFromJSON(options),
      })
    : await navigator.credentials.get({
        publicKey: PublicKeyCredential.parseRequestOptionsFromJSON(options),
      })
  form.elements.response.value = JSON.stringify(credential)
  form.submit()
}

if (form && window.PublicKeyCredential?.parseRequestOptionsFromJSON) {
  form.hidden = false
  form.addEventListener('submit', (event) => {
    event.preventDefault()
    button.disabled = true
    status.textContent = ''
    ask().catch((error) => {
      button.disabled = false
      // Whoever closes the dialogue needs not be told that it was closed.
      if (error.name !== 'NotAllowedError') status.textContent = error.message
    })
  })
}
