import { z } from 'zod'

/** By what somebody has logged in, all of them together; `machine` is `scripts/token`, on the server's own. */
const loginMethods = [
  'password',
  'totp',
  'recovery_code',
  'passkey',
  'single_sign_on',
  'machine',
] as const
export type LoginMethod = (typeof loginMethods)[number]

/** Of each act that the audit tells of. `actor_id` is null for the server itself and for who has its machine. */
const act = { actor_id: z.string().nullable(), time: z.iso.datetime() }
const ofUser = z.object({ user_id: z.string(), ...act })
const ofPasskey = ofUser.extend({ passkey_id: z.string() })
const ofIdentity = ofUser.extend({ identity_id: z.string(), provider: z.string() })
const ofSession = ofUser.extend({ session_id: z.string() })
const ofServiceAccount = z.object({ service_account_id: z.string(), ...act })
const role = z.enum(['viewer', 'editor', 'admin'])
/** What an account was called and might do before a change, and after. */
const rights = z.object({ username: z.string(), role, disabled: z.boolean() }).partial()
const grantedAccess = z.enum(['none', 'read', 'write', 'own'])
const scopes = z.array(z.string())
const programRights = z.object({ name: z.string(), scopes, disabled: z.boolean() }).partial()
/** One of the ids is null: a key is a person's or a service account's. */
const ofApiKey = z.object({
  user_id: z.string().nullable(),
  service_account_id: z.string().nullable(),
  key_id: z.string(),
  ...act,
})

const ofModel = z.object({ name: z.string(), ...act })
const ofModelVersion = ofModel.extend({ version: z.int() })
const ofDataset = z.object({ name: z.string(), ...act })
const ofPipeline = z.object({ name: z.string(), ...act })

/** Everything that can happen and that others may hear of: event type → what it carries. */
export const events = {
  'auth.login': ofSession.extend({ methods: z.array(z.enum(loginMethods)) }),
  /** `user_id` is null where there is no such user. */
  'auth.login_failed': z.object({
    user_id: z.string().nullable(),
    reason: z.enum([
      'credentials',
      'disabled',
      'unverified',
      /** The first of those who came while wrong passwords had to be waited for. */
      'held_back',
      'second_factor',
      'passkey',
      /** It had signed more often before, so somebody may have a copy of it. */
      'passkey_counter',
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
  /** Who has logged in did not know the password that some changes ask for. */
  'auth.reauthentication_failed': ofUser.extend({ reason: z.enum(['credentials', 'held_back']) }),
  /** The password was right, and is not enough. */
  'auth.second_factor_required': ofUser,
  /** `evicted` where newer ones of the same account took its place. */
  'auth.logout': ofSession.extend({ reason: z.enum(['ended', 'evicted']) }),
  'auth.identity_linked': ofIdentity,
  'auth.identity_removed': ofIdentity,
  /** A refresh token came a second time: somebody has a copy, and the session is over. */
  'auth.refresh_reused': ofSession,
  /** `provider` where it came by single sign-on. */
  'auth.user_created': ofUser.extend({ role, provider: z.string().optional() }),
  'auth.user_changed': ofUser.extend({
    changed: z.array(z.enum(['username', 'email', 'email_pending', 'role', 'disabled'])),
    from: rights.optional(),
    to: rights.optional(),
    /** Where single sign-on gave the role. */
    provider: z.string().optional(),
  }),
  /** By what name it was known, since nobody can look it up any more. */
  'auth.user_deleted': ofUser.extend({ username: z.string() }),
  'auth.password_changed': ofUser,
  /** An administrator has its owner set another one. */
  'auth.password_voided': ofUser,
  /** `user_id` is null where there is no such user. */
  'auth.password_reset_requested': z.object({ user_id: z.string().nullable(), ...act }),
  'auth.email_verified': ofUser,
  /** A link that is none, or not any more. */
  'auth.ticket_refused': z.object({
    purpose: z.enum(['reset_password', 'verify_email']),
    ...act,
  }),
  /** The mail server will never take it. */
  'auth.mail_refused': ofUser.extend({ letter: z.string() }),
  /** An administrator has read a message with a link that lets its owner in. */
  'auth.mail_shown': ofUser.extend({ mail_id: z.string() }),
  /** Who may do what to a resource from now on. */
  'auth.grants_changed': z.object({
    kind: z.string(),
    resource_id: z.string(),
    owner_id: z.string().nullable(),
    team: z.enum(['none', 'read', 'write']),
    principals: z.array(z.object({ id: z.string(), access: z.enum(['read', 'write']) })),
    ...act,
  }),
  /** Told beside, of each who may do more or less by name: so it is found by who they are. */
  'auth.grantee_changed': z.object({
    user_id: z.string().nullable(),
    service_account_id: z.string().nullable(),
    kind: z.string(),
    resource_id: z.string(),
    from: grantedAccess,
    to: grantedAccess,
    ...act,
  }),
  'auth.service_account_created': ofServiceAccount.extend({ scopes }),
  'auth.service_account_changed': ofServiceAccount.extend({
    changed: z.array(z.enum(['name', 'description', 'scopes', 'disabled'])),
    from: programRights.optional(),
    to: programRights.optional(),
  }),
  'auth.service_account_deleted': ofServiceAccount.extend({ name: z.string() }),
  'auth.api_key_created': ofApiKey.extend({ name: z.string(), scopes }),
  'auth.api_key_deleted': ofApiKey.extend({ name: z.string() }),
  /** `key_id` is that of the key that it was given for. */
  'auth.token_issued': ofServiceAccount.extend({
    token_id: z.string(),
    key_id: z.string(),
    scopes: z.array(z.string()),
  }),
  'auth.token_revoked': ofServiceAccount.extend({ token_id: z.string() }),
  /** Somebody said to be a service account and was not; null where there is none of that id. */
  'auth.client_refused': z.object({ service_account_id: z.string().nullable(), ...act }),
  /** `actor_id` asked for what they may not, in the words of the refusal; told once a minute for each endpoint. */
  'auth.access_refused': z.object({
    method: z.string(),
    path: z.string(),
    why: z.string().nullable(),
    ...act,
  }),
  'auth.totp_enabled': ofUser,
  'auth.totp_removed': ofUser,
  'auth.recovery_codes_replaced': ofUser,
  'auth.passkey_added': ofPasskey,
  'auth.passkey_removed': ofPasskey,
  /** All that were left: the password alone lets its owner in. */
  'auth.second_factors_removed': ofUser,
  'auth.keys_rotated': z.object({ key_id: z.string(), is_compromised: z.boolean(), ...act }),
  'models.version_added': ofModelVersion,
  'models.version_removed': ofModelVersion,
  /** Which versions answer from now on, and which one is asked beside them. */
  'models.traffic_changed': ofModel.extend({
    split: z.array(
      z.object({ version: z.union([z.int(), z.literal('latest')]), weight: z.number() }),
    ),
    shadow: z.int().nullable(),
  }),
  'models.loaded': ofModel,
  'models.unloaded': ofModel,
  'models.removed': ofModel,
  'datasets.version_added': ofDataset.extend({ version: z.int(), rows: z.int() }),
  'datasets.version_removed': ofDataset.extend({ version: z.int() }),
  'datasets.changed': ofDataset,
  'datasets.removed': ofDataset,
  'pipelines.version_added': ofPipeline.extend({ version: z.int() }),
  'pipelines.changed': ofPipeline,
  'pipelines.removed': ofPipeline,
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
