/** Asked when an answer is ready: what to wait for before it leaves, or nothing. */
export type Leave = () => Promise<void> | undefined

/**
 * Answers to requests that were read in one turn of the event loop leave together at its end, where they
 * are ready by then: each that leaves alone wakes whoever waits for it, and to wake is a dear part of a
 * small answer. What is ready later has waited enough and leaves at once.
 *
 * @returns to be called when a request comes in.
 */
export function createTurns(): () => Leave {
  let current: Promise<void> | undefined

  function begin(): Promise<void> {
    return new Promise((resolve) => {
      setImmediate(() => {
        current = undefined
        resolve()
      })
    })
  }

  return () => {
    const mine = (current ??= begin())
    return () => (current === mine ? mine : undefined)
  }
}
