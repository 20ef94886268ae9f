/** Where a version of a dataset comes from. */
export const origins = ['upload', 'append', 'pipeline', 'events', 'import'] as const

export type Origin = (typeof origins)[number]
