import { z } from 'zod'

/** By what somebody has logged in, all of them together. */
const loginMethods = ['password', 'single_sign_on'] as const
export type LoginMethod = (typeof loginMethods)[number]

/** Of each act that the audit tells of. `actor_id` is null for the server itself and for who has its machine. */
const act = { actor_id: z.string().nullable(), time: z.iso.datetime() }
const ofUser = z.object({ user_id: z.string(), ...act })
const ofIdentity = ofUser.extend({ identity_id: z.string(), provider: z.string() })
const ofSession = ofUser.extend({ session_id: z.string() })

/** Everything that can happen and that others may hear of: event type → what it carries. */
export const events = {
  'auth.login': ofSession.extend({ methods: z.array(z.enum(loginMethods)) }),
  /** `user_id` is null where there is no such user. */
  'auth.login_failed': z.object({
    user_id: z.string().nullable(),
    reason: z.enum([
      'credentials',
      'disabled',
      /** A sign-on that was not begun in this browser, or is over. */
      'sign_on',
      /** The provider refused, or can't be believed, or was away. */
      'provider',
      /** Nobody has shown that the address is theirs: to the provider, or here. */
      'email_unverified',
      'account_unverified',
      'no_account',
      'identity_taken',
    ]),
    /** Where it was by single sign-on. */
    provider: z.string().optional(),
    ...act,
  }),
  'auth.logout': ofSession,
  'auth.identity_linked': ofIdentity,
  'auth.identity_removed': ofIdentity,
  /** A refresh token came a second time: somebody has a copy, and the session is over. */
  'auth.refresh_reused': ofSession,
  'auth.user_created': ofUser,
  'auth.user_changed': ofUser.extend({
    changed: z.array(z.enum(['username', 'email', 'role', 'disabled'])),
  }),
  'auth.user_deleted': ofUser,
  'auth.password_changed': ofUser,
  'auth.keys_rotated': z.object({ key_id: z.string(), is_compromised: z.boolean(), ...act }),
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
