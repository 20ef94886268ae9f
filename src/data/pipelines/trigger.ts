/** What a run of a pipeline follows from. */
export const triggers = ['request', 'schedule'] as const

export type Trigger = (typeof triggers)[number]
