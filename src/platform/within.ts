/** What `late` makes of it when the answer has not come by then; it may still come, and is dropped. */
export async function within<T>(ms: number, answer: Promise<T>, late: () => T): Promise<T> {
  const { promise: over, resolve } = Promise.withResolvers<typeof OVER>()
  const timer = setTimeout(() => resolve(OVER), ms)
  try {
    const first = await Promise.race([answer, over])
    return first === OVER ? late() : first
  } finally {
    clearTimeout(timer)
  }
}

const OVER = Symbol('over')
