import { Unavailable } from '../../platform/unavailable.ts'

/** Metadata, keys and claims are a few kilobytes. */
export const ANSWER_BYTES_MAX = 1024 * 1024

/**
 * Asks a server elsewhere, which may be slow, endless or gone. Redirections are not followed: where
 * they lead is not where the operator said.
 *
 * @throws {Unavailable} when no whole answer of at most `ANSWER_BYTES_MAX` has come in time.
 */
export async function outwardFetch(
  url: string,
  init: RequestInit,
  {
    name,
    timeoutMs,
    signal,
  }: { name: string; timeoutMs: number; signal?: AbortSignal | undefined },
): Promise<Response> {
  const signals = [AbortSignal.timeout(timeoutMs), signal, init.signal]
  try {
    const response = await fetch(url, {
      ...init,
      redirect: 'manual',
      signal: AbortSignal.any(signals.filter((each) => each instanceof AbortSignal)),
    })
    const { status, headers } = response
    if (status >= 500) throw new Error(`it answers ${status}`)
    const body = await wholeOf(response)
    return new Response(body.byteLength === 0 ? null : body, { status, headers })
  } catch (cause) {
    throw new Unavailable(`The identity provider ${name}`, { cause })
  }
}

async function wholeOf({ body }: Response): Promise<Uint8Array<ArrayBuffer>> {
  const chunks: Uint8Array[] = []
  let bytes = 0
  for await (const chunk of body ?? []) {
    bytes += chunk.byteLength
    // Leaving the loop cancels what is still to come.
    if (bytes > ANSWER_BYTES_MAX) throw new Error(`its answer has over ${ANSWER_BYTES_MAX} bytes`)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}
