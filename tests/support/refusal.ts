/**
 * What a promise is rejected with. Not `expect().rejects`: in Bun that waits inside the matcher and
 * holds up the loop, and what workers say is not heard meanwhile.
 */
export async function refusal(promise: Promise<unknown>): Promise<unknown> {
  const outcome = await promise.then(
    (value) => ({ value }),
    (error: unknown) => ({ error }),
  )
  if ('error' in outcome) return outcome.error
  throw new Error(`expected a refusal, got ${Bun.inspect(outcome.value)}`)
}
