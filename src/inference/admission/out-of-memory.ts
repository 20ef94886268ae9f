/** By its words: the kernel refuses memory, and each library says so in its own. */
const WORDS = /out of memory|bad_alloc|bad allocation|failed to allocate|cannot allocate/i

export const isOutOfMemory = (said: string) => WORDS.test(said)
