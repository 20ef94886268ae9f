import { z } from 'zod'

/** Everything that can happen and that others may hear of: event type → what it carries. */
export const events = {
  'auth.login': z.object({ user_id: z.string(), time: z.iso.datetime() }),
}

export type Events = { [Type in keyof typeof events]: z.output<(typeof events)[Type]> }
