import { isIP } from 'node:net'
import { availableParallelism } from 'node:os'

import { z } from 'zod'

import { StartError } from './start-error.ts'

const MEBIBYTE = 1024 * 1024
const GIBIBYTE = 1024 * MEBIBYTE

const count = (fallback: number, { min = 1, max = 1e9 } = {}) =>
  z.coerce
    .number({ error: `expected a whole number from ${min} to ${max}` })
    .int()
    .min(min)
    .max(max)
    .default(fallback)

const list = () =>
  z
    .string()
    .default('')
    .transform((text) => Object.freeze(text.split(/[\s,]+/).filter((item) => item !== '')))

const block = z.union([z.ipv4(), z.ipv6(), z.cidrv4(), z.cidrv6()])
const isBlock = (value: string) => block.safeParse(value).success

const origin = (value: string) =>
  /^https?:[^*]+$/.test(value) && URL.canParse(value) && new URL(value).origin === value
const DOMAIN =
  /^(?=.{1,253}$)[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)+$/
/** Also of one network alone, without a dot. */
const HOST = /^(?=.{1,253}$)[a-z0-9](?:[a-z0-9._-]*[a-z0-9])?$/i
const webAddress = z
  .url({ protocol: /^https?$/, error: 'expected an address such as https://api.example.com' })
  .transform((url) => url.replace(/\/+$/, ''))

function isAtRoot(address: string): boolean {
  const { pathname, search, hash, username, password } = new URL(address)
  return pathname === '/' && `${search}${hash}${username}${password}` === ''
}

const secret = { secret: true }
const text = () => z.string().trim()

/** Settings that make sense together only, each with what it asks for. */
const companions: Record<string, readonly string[]> = {
  S3_BUCKET: ['S3_ACCESS_KEY_ID', 'S3_SECRET_ACCESS_KEY'],
  S3_ENDPOINT: ['S3_BUCKET'],
  S3_ACCESS_KEY_ID: ['S3_BUCKET'],
  S3_SECRET_ACCESS_KEY: ['S3_BUCKET'],
  S3_PREFIX: ['S3_BUCKET'],
  SMTP_URL: ['MAIL_FROM'],
  MAIL_FROM: ['SMTP_URL'],
}

/** As ioredis reads it; a query would change what the server tells the client itself. */
function isRedisAddress(value: string): boolean {
  if (!URL.canParse(value)) return false
  const { protocol, hostname, pathname, search, hash, username, password } = new URL(value)
  const isPlain = search === '' && hash === '' && /^(\/\d{0,5})?$/.test(pathname)
  return /^rediss?:$/.test(protocol) && hostname !== '' && isPlain && isEncoded(username + password)
}

/** A query would be for the library, and could turn its checks off. */
function isMailServer(value: string): boolean {
  if (!URL.canParse(value)) return false
  const { protocol, hostname, pathname, search, hash, username, password } = new URL(value)
  const isPlain = search === '' && hash === '' && /^\/?$/.test(pathname)
  const isWhole = (username === '') === (password === '')
  const isNamed = /^smtps?:$/.test(protocol) && hostname !== ''
  return isNamed && isPlain && isWhole && isEncoded(username) && isEncoded(password)
}

const SENDER = /^(?:"?[^"<>\p{C}]*"? ?<[^\s<>@,;]+@[^\s<>@,;]+>|[^\s<>@,;]+@[^\s<>@,;]+)$/u

function isWithin(host: string, domain: string): boolean {
  return isIP(host) === 0 && (host === domain || host.endsWith(`.${domain}`))
}

function isEncoded(text: string): boolean {
  try {
    decodeURIComponent(text)
    return true
  } catch {
    return false
  }
}

/** As OpenTelemetry writes them: `key=value` pairs, by commas, values encoded as in a URL. */
function readHeaders(text: string): Record<string, string> | undefined {
  const headers: Record<string, string> = {}
  for (const pair of text.split(',')) {
    const [, name, value] = /^\s*([!#$%&'*+.^`|~\w-]+)\s*=\s*(.*?)\s*$/.exec(pair) ?? []
    if (name === undefined || value === undefined) return undefined
    try {
      headers[name] = decodeURIComponent(value)
    } catch {
      return undefined
    }
  }
  // What the text decodes to could break out of a header.
  return Object.values(headers).every((value) => /^[\t\u0020-\u007e]*$/.test(value))
    ? headers
    : undefined
}

/**
 * Every setting, once: name, form, default, meaning. The table in the README is written from this
 * schema (`bun scripts/settings.ts`), so a setting that is not here does not exist.
 */
export const settings = z
  .object({
    PORT: count(8080, { min: 0, max: 65535 }).describe('Port to listen on; 0 picks a free one'),
    HOST: z
      .string()
      .default('127.0.0.1')
      .describe('Address to listen on; `0.0.0.0` opens the server to other machines'),
    PUBLIC_URL: webAddress
      .refine(
        isAtRoot,
        'expected no more than scheme, host and port: pages and cookies are at the root',
      )
      .default('http://localhost:8080')
      .describe(
        'Address under which clients know the server: where links in mails lead, the host that passkeys are bound to, the origin that browsers’ pages must have, and the issuer (`iss`) of its tokens',
      ),
    DATA_DIR: z.string().default('./data').describe('Folder that holds all state'),
    DATABASE_URL: z
      .url({
        protocol: /^postgres(ql)?$/,
        error: 'expected an address such as postgres://user@host/name',
      })
      .optional()
      .describe('Postgres instead of the file in `DATA_DIR`')
      .meta(secret),
    DATABASE_POOL_MAX: count(20, { max: 1000 }).describe('Connections to Postgres'),
    MODELS_DIR: z
      .string()
      .default('./models')
      .describe('Folder with a model in each `<name>/<version>/`'),
    WORKERS: count(Math.max(1, availableParallelism() - 1), { max: 256 })
      .describe('Threads that run models')
      .meta({ shownDefault: 'cores − 1' }),
    LOG_LEVEL: z
      .enum(['trace', 'debug', 'info', 'warn', 'error', 'silent'])
      .default('info')
      .describe('Least level that is logged; requests are logged at `info`'),

    REDIS_URL: z
      .string()
      .refine(
        isRedisAddress,
        'expected an address such as redis://user:secret@redis.example.com:6379/0, or rediss:// for TLS',
      )
      .optional()
      .describe('Redis that instances share for cache, bus and rate limits; without it, memory')
      .meta(secret),
    REDIS_PREFIX: z
      .string()
      .regex(/^[\w.:-]{1,64}$/, 'expected up to 64 letters, digits, `.`, `:`, `-` and `_`')
      .default('quintet')
      .describe('Goes before every key and channel, so that several servers can share a Redis'),

    ADMIN_USERNAME: z
      .string()
      .default('admin')
      .describe('Name of the administrator that the first start creates'),
    ADMIN_PASSWORD: z
      .string()
      .min(8, 'expected at least 8 characters')
      .max(128, 'expected at most 128 characters')
      .optional()
      .describe('Its password; without one, a random password is printed once')
      .meta(secret),
    SIGNUP: z
      .enum(['closed', 'open'], { error: 'expected closed or open' })
      .default('closed')
      .describe(
        '`closed`, or `open`: whoever reaches the server may create an account, with the role viewer',
      ),
    UNVERIFIED_LOGIN: z
      .enum(['allow', 'refuse'], { error: 'expected allow or refuse' })
      .optional()
      .describe(
        '`allow`, or `refuse`: who signs up gives an address, and logs in once it is verified. Accounts that administrators create log in at once',
      )
      .meta({ shownDefault: '`refuse` with `SMTP_URL`, else `allow`' }),
    IMPORT_USERS_MAX: count(1_000, { max: 10_000 }).describe('Users in one import request'),
    SECOND_FACTOR: z
      .enum(['optional', 'administrators', 'everyone'], {
        error: 'expected optional, administrators or everyone',
      })
      .default('optional')
      .describe(
        '`optional`, or `administrators` or `everyone`: who may do nothing but set up a second factor, and see to their own account, until they have one. Accounts without a password are exempt',
      ),
    JWT_SECRET: z
      .string()
      .refine((value) => Buffer.byteLength(value) >= 32, 'expected at least 32 bytes')
      .optional()
      .describe('Where set, login signs tokens by HS256 with it, for services that verify locally')
      .meta(secret),
    KEY_ROTATION_SECONDS: count(90 * 86_400, { min: 86_400 }).describe(
      'How long a key signs tokens; then the next one does, and it is kept until the last of them has expired',
    ),
    TOKEN_TTL_SECONDS: count(86_400, { min: 60, max: 86_400 }).describe(
      'Life of a token from login',
    ),
    LOGIN_TOKEN: z
      .enum(['long', 'short'], { error: 'expected long or short' })
      .default('long')
      .describe(
        '`long` (`TOKEN_TTL_SECONDS`), or `short`: a token from login lives no longer than one from a refresh. Old clients know no refresh',
      ),
    REFRESHED_TOKEN_TTL_SECONDS: count(900, { min: 60, max: 86_400 }).describe(
      'Life of a token from a refresh',
    ),
    SESSION_TTL_SECONDS: count(30 * 86_400, { min: 86_400 }).describe(
      'Life of a session, however often it is refreshed',
    ),
    SESSION_IDLE_SECONDS: count(7 * 86_400, { min: 86_400 }).describe(
      'Life of a session that is not refreshed',
    ),
    SESSIONS_PER_ACCOUNT_MAX: count(100).describe(
      'Sessions that one account may have; the oldest makes room',
    ),
    API_KEYS_PER_OWNER_MAX: count(100, { max: 1000 }).describe(
      'API keys that one account or service account may have',
    ),
    CLIENT_TOKEN_TTL_SECONDS: count(3_600, { min: 60, max: 86_400 }).describe(
      'Life of a token that a service account gets at `/oauth/token`',
    ),
    AUDIT_TTL_SECONDS: count(365 * 86_400, { min: 86_400 }).describe(
      'How long it is remembered who did what',
    ),
    COOKIE_DOMAIN: z
      .string()
      .regex(DOMAIN, { error: 'expected a domain such as example.com', abort: true })
      .optional()
      .describe(
        'Parent domain whose applications get the cookie of a signed-in browser too, for forward-auth; each of them can then act as whoever visits it',
      )
      .meta({ shownDefault: 'this host alone' }),
    FORWARD_AUTH_ORIGINS: list()
      .refine(
        (origins) => origins.every(origin),
        'expected origins such as https://grafana.example.com',
      )
      .describe('Origins of the applications behind forward-auth, to which sign-in may lead back')
      .meta({ shownDefault: 'none' }),
    SSO_PROVIDERS: text()
      .optional()
      .describe(
        'Where people sign in instead of here: a JSON list of providers, or `@` and the path of a file with one; see [Single sign-on](#single-sign-on)',
      )
      .meta(secret),
    SSO_TIMEOUT_MS: count(5_000).describe('Longest time for one answer of a provider, then 503'),
    TOKEN_CACHE_MAX: count(10_000).describe('Verified tokens kept in memory'),
    PASSWORD_QUEUE_MAX: count(64).describe(
      'Password checks that may wait; above it login answers 503',
    ),
    LOGIN_FAILURES_MAX: count(5, { max: 1000 }).describe(
      'Wrong passwords for one user name, after which it waits: a second, then twice as long each time',
    ),
    LOGIN_FAILURES_PER_ADDRESS_MAX: count(50).describe(
      'The same for one address, whatever the user names',
    ),
    LOGIN_HOLD_SECONDS: count(900, { max: 86_400 }).describe('Longest such wait'),
    LOGIN_THROTTLES_MAX: count(100_000).describe(
      'User names and addresses whose wrong passwords are counted at once',
    ),
    PASSWORD_WORDS: list()
      .describe(
        'Words that no password may be made of, such as your organisation’s name; `quintet` and the account’s own names are none anyway',
      )
      .meta({ shownDefault: 'none' }),
    ANONYMOUS_SCOPES: list()
      .describe('What callers without a token may do, such as `predict models:read`')
      .meta({ shownDefault: 'nothing' }),
    METRICS_TOKEN: z
      .string()
      .regex(/^\S{16,}$/, 'expected at least 16 characters, no spaces')
      .optional()
      .describe('Bearer token that lets a scraper read `/metrics`')
      .meta(secret),

    EGRESS_ALLOW: list()
      .refine(
        (entries) => entries.every((entry) => isBlock(entry) || HOST.test(entry)),
        'expected names of hosts, addresses or CIDR blocks such as 10.0.0.0/8',
      )
      .describe(
        'Hosts, addresses and CIDR blocks of private networks that data may be fetched from, those named also by `http:`',
      )
      .meta({ shownDefault: 'none' }),
    TRUSTED_PROXIES: list()
      .refine(
        (entries) => entries.every(isBlock),
        'expected addresses or CIDR blocks such as 10.0.0.0/8',
      )
      .describe('Addresses or CIDR blocks of proxies whose `X-Forwarded-For` is believed')
      .meta({ shownDefault: 'none' }),
    CORS_ORIGINS: list()
      .refine(
        (origins) => origins.every(origin),
        'expected origins such as https://app.example.com',
      )
      .describe('Origins whose pages may call the API')
      .meta({ shownDefault: 'none' }),
    RATE_LIMIT_AUTH: count(100).describe('Login attempts a minute and address'),
    RATE_LIMIT_VALIDATE: count(6_000).describe('Token validations a minute and address'),
    RATE_LIMIT_CLIENTS: count(600).describe(
      'Requests a minute and address to `/oauth/token` and `/oauth/revoke`; one address may hold many programs',
    ),
    RATE_LIMIT_FORWARD: count(60_000).describe(
      'Questions of a proxy (forward-auth) a minute and principal (not signed in: and address)',
    ),
    RATE_LIMIT_PRINCIPAL: count(30_000).describe(
      'Requests a minute and principal (without a token: and address)',
    ),
    RATE_LIMIT_KEYS_MAX: count(100_000).describe(
      'Principals and addresses that are counted at once',
    ),
    BODY_BYTES_MAX: count(MEBIBYTE).describe('Largest request body, in bytes'),
    REQUEST_TIMEOUT_MS: count(30_000).describe('Longest time for one request, then 504'),

    MODEL_BYTES_MAX: count(256 * MEBIBYTE, { max: 5 * GIBIBYTE }).describe(
      'Largest model file, in bytes',
    ),
    MODEL_EXAMPLES_BYTES_MAX: count(16 * MEBIBYTE).describe(
      'Largest manifest, and largest set of examples, of an uploaded model, in bytes',
    ),
    MODELS_PER_OWNER_BYTES_MAX: count(10 * GIBIBYTE, { max: 1e15 }).describe(
      'Models that one owner may have, in bytes of all their versions',
    ),
    MODEL_ADMISSION_TIMEOUT_MS: count(120_000).describe(
      'Longest time to load an uploaded model and to run it once; then it is refused',
    ),
    MODEL_ADMISSION_MEMORY_BYTES_MAX: count(4 * GIBIBYTE, {
      min: 256 * MEBIBYTE,
      max: 1e15,
    }).describe('Memory that it may take for that, with the runtime, in bytes'),
    MODEL_ADMISSIONS_MAX: count(8).describe(
      'Uploaded models that may wait to be tried; above it 503',
    ),
    MODEL_VERSIONS_ASKED_MAX: count(8).describe(
      'Versions that are kept in memory since somebody asked for them by number; the one asked longest ago makes room',
    ),
    PREDICT_BATCHES_MAX: count(1_000).describe('Batches in one batch request'),
    PREDICT_ROWS_MAX: count(10_000).describe('Rows in one prediction request'),
    PREDICT_VALUES_MAX: count(5_000_000).describe(
      'Values that the rows of one prediction request may have, inputs or outputs: fewer rows of a wide model',
    ),
    PREDICT_EXPLAIN_VALUES_MAX: count(100_000).describe(
      'Contributions that one request may ask for: rows × inputs × explained outputs',
    ),
    PREDICT_STREAM_BYTES_MAX: count(GIBIBYTE, { max: 100 * GIBIBYTE }).describe(
      'Largest table of rows as CSV or NDJSON, in bytes',
    ),
    PREDICT_UNREAD_BYTES_MAX: count(4 * GIBIBYTE, { max: 1000 * GIBIBYTE }).describe(
      'Answers to tables that wait on disk for their readers, all together, in bytes',
    ),
    PREDICT_UNREAD_TIMEOUT_MS: count(60_000).describe(
      'How long such an answer waits while nothing of it is read; then it breaks off',
    ),
    PREDICT_BATCH_ROWS_MAX: count(32).describe('Rows that go to a model in one call'),
    PREDICT_IN_PLACE_US_MAX: count(500, { min: 0 }).describe(
      'Trees that take no longer, in microseconds a request, are evaluated without another thread',
    ),
    PREDICT_QUEUE_ROWS_MAX: count(20_000).describe('Rows that wait for one model; above it 503'),
    PREDICT_RUN_TIMEOUT_MS: count(10_000).describe(
      'Longest time for one call of a model; then its thread is replaced',
    ),
    PREDICTION_CACHE_TTL_SECONDS: count(3_600).describe('How long a prediction is remembered'),
    CACHE_BYTES_MAX: count(64 * MEBIBYTE).describe(
      'Memory for cached predictions, in bytes; in Redis, the largest of them',
    ),

    DATASET_UPLOAD_BYTES_MAX: count(5 * GIBIBYTE, { max: 1000 * GIBIBYTE }).describe(
      'Largest upload of a dataset, in bytes',
    ),
    DATASET_EXPANDED_BYTES_MAX: count(20 * GIBIBYTE, { max: 1000 * GIBIBYTE }).describe(
      'The same once it is not compressed any more',
    ),
    DATASET_REJECTED_ROWS_MAX: count(10_000, { min: 0, max: 1e6 }).describe(
      'Rows that an upload may ask to leave out',
    ),
    DATASETS_PER_OWNER_BYTES_MAX: count(20 * GIBIBYTE, { max: 1e15 }).describe(
      'Datasets that one owner may have, in bytes of all their versions as Parquet',
    ),
    DATASET_EXPORT_SECONDS: count(7 * 86_400, { min: 60 }).describe(
      'How long an export that was made is kept for whoever asks for it next',
    ),
    DATASET_EVENTS_BYTES_MAX: count(4 * MEBIBYTE).describe(
      'Largest body of events for a dataset, in bytes',
    ),
    DATASET_EVENTS_WAIT_MS: count(100, { max: 10_000 }).describe(
      'For which events wait for others to be written with',
    ),
    DATASET_EVENTS_PENDING_BYTES_MAX: count(64 * MEBIBYTE).describe(
      'Events that may wait to be written, in bytes; above it 503',
    ),
    DATA_QUERIES_MAX: count(2, { max: 256 }).describe(
      'Queries, uploads and exports of datasets at once, each in a process of its own',
    ),
    DATA_QUEUE_MAX: count(64).describe('Those that may wait; above it 503'),
    DATA_THREADS: count(availableParallelism(), { max: 256 })
      .describe('Threads of one query')
      .meta({ shownDefault: 'cores' }),
    DATA_MEMORY_BYTES_MAX: count(GIBIBYTE, { min: 64 * MEBIBYTE, max: 1e13 }).describe(
      'Memory of one query, in bytes; what does not fit goes to disk',
    ),
    DATA_SPILL_BYTES_MAX: count(20 * GIBIBYTE, { min: 0, max: 1e15 }).describe(
      'What one query may put on disk on the way, in bytes',
    ),
    DATA_RESULT_BYTES_MAX: count(64 * MEBIBYTE).describe(
      'Largest result of a query that is answered at once, in bytes',
    ),
    DATA_QUERY_TIMEOUT_MS: count(25_000).describe('Longest time for such a query, then 504'),
    DATA_EXPORT_TIMEOUT_MS: count(600_000).describe(
      'Longest time to take an upload in, or to make an export',
    ),
    DATA_JOBS_MAX: count(2, { max: 256 }).describe(
      'Pipelines at once that nobody waits for, each in a process of its own; the others wait as jobs',
    ),
    DATA_JOB_TIMEOUT_MS: count(3_000_000).describe('Longest time for one such pipeline'),
    JOBS_CONCURRENCY: count(4, { max: 1000 }).describe('Jobs that this process does at once'),
    JOBS_UNFINISHED_MAX: count(100).describe('Unfinished jobs that one account may have'),
    JOB_LEASE_MS: count(30_000, { min: 100 }).describe(
      'After so much silence of a process its jobs go to another',
    ),
    JOB_POLL_MS: count(2_000, { min: 10 }).describe(
      'How often a process looks for jobs that nothing woke it for',
    ),
    JOB_TIMEOUT_SECONDS: count(3_600).describe('Longest time for one attempt at a job'),
    JOB_RESULT_TTL_SECONDS: count(7 * 86_400).describe('How long an ended job is remembered'),

    SMTP_URL: z
      .string()
      .refine(
        isMailServer,
        'expected an address such as smtp://user:secret@smtp.example.com:587, or smtps:// for TLS from the start',
      )
      .optional()
      .describe('Server that takes mail; without one, links are shown to administrators')
      .meta(secret),
    MAIL_FROM: text()
      .regex(SENDER, 'expected a sender such as Quintet <quintet@example.com>')
      .optional()
      .describe('Sender of mail, such as `Quintet <quintet@example.com>`'),
    SMTP_TIMEOUT_MS: count(20_000).describe('Longest time for one mail; then it is tried again'),
    MAILS_PER_ACCOUNT_MAX: count(5, { max: 1000 }).describe(
      'Mails of one kind that one account gets in an hour',
    ),
    MAIL_KEPT_MAX: count(1_000).describe(
      'Links kept for administrators where no mail is sent; the oldest makes room',
    ),

    S3_BUCKET: text()
      .optional()
      .describe('Bucket for files; without one they are kept in `DATA_DIR`'),
    S3_ENDPOINT: webAddress
      .optional()
      .describe('Address of the object storage; without one that of AWS')
      .meta({ shownDefault: 'AWS' }),
    S3_REGION: text().default('us-east-1').describe('Its region'),
    S3_ACCESS_KEY_ID: text().optional().describe('Name of the key to it'),
    S3_SECRET_ACCESS_KEY: text().optional().describe('The key to it').meta(secret),
    S3_PREFIX: text()
      .regex(/^(?:[A-Za-z0-9_-][A-Za-z0-9._-]*\/)+$/, 'expected a path such as quintet/')
      .max(400, 'expected at most 400 characters')
      .optional()
      .describe('Stands before the name of every file in the bucket, such as `quintet/`'),
    STORAGE_TIMEOUT_MS: count(10_000).describe(
      'Longest time for one answer of the object storage; a transfer gets more by its size',
    ),
    STORAGE_CACHE_BYTES_MAX: count(GIBIBYTE, { max: 1e15 }).describe(
      'Disk for local copies of files in object storage, in bytes',
    ),
    STORAGE_UPLOAD_BYTES_MAX: count(GIBIBYTE, { max: 5 * GIBIBYTE }).describe(
      'Largest file, in bytes',
    ),
    STORAGE_UPLOAD_TIMEOUT_MS: count(600_000).describe('Longest time for one upload, then 504'),

    OTEL_EXPORTER_OTLP_ENDPOINT: webAddress
      .optional()
      .describe('Collector that gets traces, over OTLP/HTTP; without one none are recorded')
      // It may hold a key, as the addresses of some collectors do.
      .meta(secret),
    OTEL_EXPORTER_OTLP_HEADERS: z
      .string()
      .refine(
        (text) => readHeaders(text) !== undefined,
        'expected headers such as key=value,other=value',
      )
      .transform((text) => Object.freeze(readHeaders(text)!))
      .optional()
      .describe('Headers for the collector, such as `x-api-key=…`, values as in a URL')
      .meta(secret),
    OTEL_SERVICE_NAME: z.string().default('quintet').describe('Name of this server in traces'),
    OTEL_TRACES_SAMPLER_ARG: z.coerce
      .number({ error: 'expected a number from 0 to 1' })
      .min(0, 'expected a number from 0 to 1')
      .max(1, 'expected a number from 0 to 1')
      .default(1)
      .describe('Share of the traces that begin here that is recorded; others’ as they say'),

    DRAIN_DELAY_MS: count(0, { min: 0 }).describe(
      'Time between not ready and no longer accepting, for load balancers',
    ),
    DRAIN_TIMEOUT_MS: count(10_000).describe(
      'Time that running requests get to finish at shutdown',
    ),
  })
  .refine((config) => config.PREDICT_ROWS_MAX <= config.PREDICT_QUEUE_ROWS_MAX, {
    path: ['PREDICT_QUEUE_ROWS_MAX'],
    message: 'expected at least PREDICT_ROWS_MAX, or the largest request could never wait',
  })

  .refine(
    ({ COOKIE_DOMAIN, PUBLIC_URL }) =>
      COOKIE_DOMAIN === undefined || isWithin(new URL(PUBLIC_URL).hostname, COOKIE_DOMAIN),
    {
      path: ['COOKIE_DOMAIN'],
      message: 'expected the host of PUBLIC_URL or a parent of it, or no browser keeps the cookie',
    },
  )

  .superRefine((config, context) => {
    const given = new Set(
      Object.entries(config).flatMap(([name, value]) => (value === undefined ? [] : [name])),
    )
    for (const [name, needed] of Object.entries(companions)) {
      if (!given.has(name)) continue
      for (const missing of needed.filter((each) => !given.has(each))) {
        context.addIssue({
          code: 'custom',
          path: [missing],
          message: `expected a value, since ${name} is set`,
        })
      }
    }
  })

export type Config = Readonly<z.output<typeof settings>>

/** What is wrong with a setting whose words belong to another part, or nothing. */
export type SettingChecks = {
  [Name in keyof Config]?: (value: Config[Name]) => string | undefined
}

/**
 * Reads the settings from an environment. A blank variable counts as absent.
 *
 * @throws {StartError} naming every faulty variable at once, never the value of a secret.
 */
export function parseConfig(
  environment: Record<string, string | undefined>,
  checks: SettingChecks = {},
): Config {
  const present = Object.fromEntries(
    Object.entries(environment).filter(([, value]) => value !== undefined && value.trim() !== ''),
  )
  const parsed = settings.safeParse(present)
  const issues = (parsed.error?.issues ?? []).map(
    ({ path, message }) => `${path.join('.')}: ${message}`,
  )
  // Each instance would sign its tokens as another server, by an address that leads nowhere.
  const isOneOfMany = 'DATABASE_URL' in present && 'REDIS_URL' in present
  if (isOneOfMany && !('S3_BUCKET' in present)) {
    issues.push(
      'S3_BUCKET: expected the bucket of all instances, or their files are not each other’s',
    )
  }
  if (isOneOfMany && !('PUBLIC_URL' in present)) {
    issues.push(
      'PUBLIC_URL: expected the address of all instances that share DATABASE_URL and REDIS_URL',
    )
  }
  const faults = [...issues, ...faultsByCheck(present, checks)]
  if (parsed.success && faults.length === 0) return Object.freeze(parsed.data)
  throw new StartError(`These settings can't be used:\n  ${faults.join('\n  ')}`)
}

function faultsByCheck(present: Record<string, unknown>, checks: SettingChecks): string[] {
  return Object.entries(checks).flatMap(([name, check]) => {
    const { data } = settings.shape[name as keyof Config].safeParse(present[name])
    const fault =
      data === undefined ? undefined : (check as (value: unknown) => string | undefined)(data)
    return fault === undefined ? [] : [`${name}: ${fault}`]
  })
}
