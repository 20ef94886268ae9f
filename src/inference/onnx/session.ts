import { InferenceSession } from 'onnxruntime-node'

/** One thread a session: the pool is what runs side by side. What goes wrong is thrown, and needs no log. */
const OPTIONS = { intraOpNumThreads: 1, interOpNumThreads: 1, logSeverityLevel: 4 } as const

/**
 * @param model the path of a file, or what is in it.
 * @throws {Error} with what the runtime says.
 */
export async function createSession(
  model: string | Uint8Array,
  options: InferenceSession.SessionOptions = {},
): Promise<InferenceSession> {
  const all = { ...OPTIONS, ...options }
  try {
    // The two are one function, but its types tell them apart.
    return typeof model === 'string'
      ? await InferenceSession.create(model, all)
      : await InferenceSession.create(model, all)
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause)
    throw new Error(`is refused by ONNX Runtime: ${reason}`, { cause })
  }
}
