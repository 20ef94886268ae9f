/** As `2026-01-02 03:04 UTC`. */
export const minuteOf = (time: Date) => `${time.toISOString().slice(0, 16).replace('T', ' ')} UTC`
