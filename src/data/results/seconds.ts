/** As answers tell it, to the millisecond. */
export const secondsSince = (startedAt: number) => Math.round(performance.now() - startedAt) / 1000
