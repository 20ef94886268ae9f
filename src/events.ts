import { z } from 'zod'

/** Who did it; null for the server itself and for who has its machine. */
const actor_id = z.string().nullable()

/** Everything that can happen and that others may hear of: event type → what it carries. */
export const events = {
  'auth.login': z.object({ user_id: z.string(), time: z.iso.datetime() }),
  'auth.logout': z.object({ user_id: z.string(), session_id: z.string(), time: z.iso.datetime() }),
  /** A refresh token came a second time: somebody has a copy, and the session is over. */
  'auth.refresh_reused': z.object({
    user_id: z.string(),
    session_id: z.string(),
    time: z.iso.datetime(),
  }),
  'auth.user_created': z.object({ user_id: z.string(), actor_id, time: z.iso.datetime() }),
  'auth.user_changed': z.object({
    user_id: z.string(),
    actor_id,
    changed: z.array(z.enum(['username', 'email', 'role', 'disabled'])),
    time: z.iso.datetime(),
  }),
  'auth.user_deleted': z.object({ user_id: z.string(), actor_id, time: z.iso.datetime() }),
  'auth.password_changed': z.object({ user_id: z.string(), actor_id, time: z.iso.datetime() }),
  /** Told on the way, so not through the outbox: the job itself says how it stands. */
  'jobs.updated': z.object({
    id: z.string(),
    type: z.string(),
    /** Null for the server's own jobs. */
    owner_id: z.string().nullable(),
    state: z.enum(['ready', 'active', 'done', 'failed', 'cancelled']),
    progress: z.number().min(0).max(1),
  }),
}

export type Events = { [Type in keyof typeof events]: z.output<(typeof events)[Type]> }
