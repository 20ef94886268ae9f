import { z } from 'zod'

import { checked } from '../../gateway/body.ts'
import { problems } from '../../gateway/problems.ts'

/** A version is what was uploaded: of Triton's parameters none changes what a load does. */
export const repositoryRequest = z.strictObject({
  parameters: z.strictObject({ unload_dependents: z.boolean().optional() }).optional(),
})

/**
 * Checks what came with a request to load or unload: NVIDIA's client says of no body that it is JSON.
 *
 * @throws {Problem} 400, 422.
 */
export async function readRepositoryRequest(body: ReadableStream<Uint8Array>): Promise<void> {
  const text = await new Response(body).text()
  if (text.trim() === '') return
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (cause) {
    throw problems.malformedBody({ detail: 'The body is not valid JSON.', cause })
  }
  checked(repositoryRequest, value)
}
