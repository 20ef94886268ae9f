import { z } from 'zod'

/** How a pipeline answers at `/api/v1/endpoints/{name}`. */
export const endpointSettings = z.strictObject({
  cache_seconds: z.int().min(0).max(86_400).default(60).meta({
    description: 'For which an answer is kept, while no dataset that it reads has a newer version',
  }),
  requests_per_minute: z.int().min(1).max(100_000).default(600).meta({
    description: 'Of one caller',
  }),
})

export type EndpointSettings = z.output<typeof endpointSettings>
