/** Waits until it is so. @throws {Error} when that takes longer. */
export async function until(
  isSo: () => boolean | Promise<boolean>,
  timeoutMs = 5_000,
): Promise<void> {
  const deadline = performance.now() + timeoutMs
  while (!(await isSo())) {
    if (performance.now() > deadline)
      throw new Error(`not so within ${timeoutMs} ms: ${isSo.toString()}`)
    await Bun.sleep(5)
  }
}
