import { describe, expect, test } from 'bun:test'

import { parseConfig, settings } from './config.ts'
import { StartError } from './start-error.ts'

/** The sentence with which the settings are refused. */
function faultsOf(environment: Record<string, string>): string {
  try {
    parseConfig(environment)
  } catch (error) {
    if (error instanceof StartError) return error.message
    throw error
  }
  throw new Error('expected a refusal')
}

describe('settings that are used', () => {
  test('have a default each, but for the secrets', () => {
    const config = parseConfig({})
    expect(config).toMatchObject({ PORT: 8080, HOST: '127.0.0.1', CORS_ORIGINS: [] })
    const absent = Object.keys(settings.shape).filter((name) => !(name in config))
    expect(absent).toEqual([
      'DATABASE_URL',
      'REDIS_URL',
      'ADMIN_PASSWORD',
      'UNVERIFIED_LOGIN',
      'JWT_SECRET',
      'COOKIE_DOMAIN',
      'SSO_PROVIDERS',
      'METRICS_TOKEN',
      'SMTP_URL',
      'MAIL_FROM',
      'S3_BUCKET',
      'S3_ENDPOINT',
      'S3_ACCESS_KEY_ID',
      'S3_SECRET_ACCESS_KEY',
      'S3_PREFIX',
      'OTEL_EXPORTER_OTLP_ENDPOINT',
      'OTEL_EXPORTER_OTLP_HEADERS',
    ])
  })

  test('each say what they mean', () => {
    for (const [name, schema] of Object.entries(settings.shape)) {
      expect([name, schema.description]).toEqual([name, expect.stringMatching(/\S/)])
    }
  })

  test.each(['', '  ', '\n'])('count as absent when they are %p', (blank) => {
    const blanks = Object.fromEntries(Object.keys(settings.shape).map((name) => [name, blank]))
    expect(parseConfig(blanks)).toEqual(parseConfig({}))
  })

  test('can be told from the rest of the environment', () => {
    expect(parseConfig({ HOME: '/root', port: '1' })).toEqual(parseConfig({}))
  })

  test('can’t be changed any more', () => {
    const config = parseConfig({ CORS_ORIGINS: 'https://a.example' })
    expect(() => Object.assign(config, { PORT: 1 })).toThrow(TypeError)
    expect(() => (config.CORS_ORIGINS as string[]).push('*')).toThrow(TypeError)
  })

  test.each([
    ['PORT', '0', 0],
    ['PORT', '65535', 65_535],
    ['WORKERS', '256', 256],
    ['DRAIN_DELAY_MS', '0', 0],
    ['PUBLIC_URL', 'https://api.example.com//', 'https://api.example.com'],
    [
      'CORS_ORIGINS',
      'https://a.example, http://b.example:3000',
      ['https://a.example', 'http://b.example:3000'],
    ],
    ['TRUSTED_PROXIES', ' 10.0.0.0/8\n::1 ', ['10.0.0.0/8', '::1']],
    ['EGRESS_ALLOW', 'minio, 10.0.0.0/8', ['minio', '10.0.0.0/8']],
    ['ANONYMOUS_SCOPES', 'predict,models:read', ['predict', 'models:read']],
    ['JWT_SECRET', 'é'.repeat(16), 'é'.repeat(16)],
    ['ADMIN_PASSWORD', ' 8 chars', ' 8 chars'],
    ['REDIS_URL', 'redis://localhost', 'redis://localhost'],
    ['REDIS_URL', 'rediss://me:p%40ss@r.example:6380/7', 'rediss://me:p%40ss@r.example:6380/7'],
    ['REDIS_PREFIX', 'quintet:staging', 'quintet:staging'],
    ['OTEL_EXPORTER_OTLP_ENDPOINT', 'http://collector:4318/', 'http://collector:4318'],
    ['OTEL_EXPORTER_OTLP_HEADERS', 'a=1', { a: '1' }],
    [
      'OTEL_EXPORTER_OTLP_HEADERS',
      ' x-api-key = a%20key=, x-other=%2C',
      { 'x-api-key': 'a key=', 'x-other': ',' },
    ],
    ['OTEL_TRACES_SAMPLER_ARG', '0.25', 0.25],
    ['OTEL_TRACES_SAMPLER_ARG', '0', 0],
  ] as const)('%s may be %p', (name, text, value) => {
    expect(parseConfig({ [name]: text })[name]).toEqual(value as never)
  })
})

describe('settings that are refused', () => {
  test.each([
    ['PORT', '70000', 'a whole number from 0 to 65535'],
    ['PORT', '-1', 'a whole number'],
    ['PORT', '80.5', 'a whole number'],
    ['PORT', 'http', 'a whole number'],
    ['PORT', 'Infinity', 'a whole number'],
    ['WORKERS', '0', 'a whole number from 1 to 256'],
    ['TOKEN_TTL_SECONDS', '86401', 'a whole number from 60 to 86400'],
    ['PUBLIC_URL', 'api.example.com', 'an address such as'],
    ['PUBLIC_URL', 'ftp://api.example.com', 'an address such as'],
    ['PUBLIC_URL', 'https://example.com/quintet', 'no more than scheme, host and port'],
    ['PUBLIC_URL', 'https://example.com?a=b', 'no more than scheme, host and port'],
    ['PUBLIC_URL', 'https://me@example.com', 'no more than scheme, host and port'],
    ['LOG_LEVEL', 'loud', '"info"'],
    ['JWT_SECRET', 'x'.repeat(31), 'at least 32 bytes'],
    ['ADMIN_PASSWORD', 'x'.repeat(7), 'at least 8 characters'],
    ['ADMIN_PASSWORD', 'x'.repeat(129), 'at most 128 characters'],
    ['METRICS_TOKEN', 'x'.repeat(15), 'at least 16 characters'],
    ['METRICS_TOKEN', 'x x '.repeat(9), 'no spaces'],
    ['TRUSTED_PROXIES', 'proxy.example.com', 'addresses or CIDR blocks'],
    ['EGRESS_ALLOW', 'https://minio', 'names of hosts, addresses or CIDR blocks'],
    ['EGRESS_ALLOW', '10.0.0.0/33', 'names of hosts, addresses or CIDR blocks'],
    ['TRUSTED_PROXIES', '10.0.0.0/33', 'addresses or CIDR blocks'],
    ['TRUSTED_PROXIES', '10.0.0.0/x', 'addresses or CIDR blocks'],
    ['TRUSTED_PROXIES', '::1, ::/129', 'addresses or CIDR blocks'],
    ['REDIS_URL', 'localhost:6379', 'an address such as redis://'],
    ['REDIS_URL', 'http://localhost:6379', 'an address such as redis://'],
    ['REDIS_URL', 'redis://:100%@localhost', 'an address such as redis://'],
    ['REDIS_URL', 'redis://', 'an address such as redis://'],
    ['REDIS_URL', 'redis://localhost:63790000', 'an address such as redis://'],
    ['REDIS_URL', 'redis://localhost/cache', 'an address such as redis://'],
    ['REDIS_URL', 'redis://localhost?commandTimeout=1', 'an address such as redis://'],
    ['REDIS_PREFIX', 'a b', 'letters, digits'],
    ['REDIS_PREFIX', 'x'.repeat(65), 'up to 64'],
    ['OTEL_EXPORTER_OTLP_ENDPOINT', 'collector:4318', 'an address such as'],
    ['OTEL_EXPORTER_OTLP_HEADERS', 'key', 'headers such as'],
    ['OTEL_EXPORTER_OTLP_HEADERS', 'key=a,', 'headers such as'],
    ['OTEL_EXPORTER_OTLP_HEADERS', 'a key=a', 'headers such as'],
    ['OTEL_EXPORTER_OTLP_HEADERS', 'key=%', 'headers such as'],
    ['OTEL_EXPORTER_OTLP_HEADERS', 'key=a%0D%0Aother: b', 'headers such as'],
    ['OTEL_TRACES_SAMPLER_ARG', '1.1', 'a number from 0 to 1'],
    ['OTEL_TRACES_SAMPLER_ARG', '-0.1', 'a number from 0 to 1'],
    ['OTEL_TRACES_SAMPLER_ARG', 'all', 'a number from 0 to 1'],
    ['UNVERIFIED_LOGIN', 'maybe', 'expected allow or refuse'],
    ['CORS_ORIGINS', 'ftp://a.example', 'origins such as'],
    ['COOKIE_DOMAIN', 'localhost', 'a domain such as'],
    ['COOKIE_DOMAIN', '.example.com', 'a domain such as'],
    ['COOKIE_DOMAIN', 'example.com; Secure', 'a domain such as'],
    ['COOKIE_DOMAIN', 'example.com', 'the host of PUBLIC_URL or a parent'],
    ['FORWARD_AUTH_ORIGINS', 'grafana.example.com', 'origins such as'],
    ['FORWARD_AUTH_ORIGINS', 'https://*.example.com', 'origins such as'],
    ['FORWARD_AUTH_ORIGINS', 'https://grafana.example.com/', 'origins such as'],
    ['CORS_ORIGINS', '*', 'origins such as'],
    ['CORS_ORIGINS', 'null', 'origins such as'],
    ['CORS_ORIGINS', 'https://a.example/', 'origins such as'],
    ['CORS_ORIGINS', 'https://a.example/page', 'origins such as'],
    ['CORS_ORIGINS', 'https://a.example b.example', 'origins such as'],
  ])('%s as %p', (name, value, expected) => {
    const faults = faultsOf({ [name]: value })
    expect(faults).toContain(`\n  ${name}: `)
    expect(faults).toContain(expected)
    expect(faults.split('\n')).toHaveLength(2)
  })

  test.each([
    ['https://q.example.com', 'other.example'],
    ['https://q.example.com', 'a.q.example.com'],
    ['https://notexample.com', 'example.com'],
    ['https://10.0.0.1', '0.0.1'],
  ])('at %s a cookie for %s', (PUBLIC_URL, COOKIE_DOMAIN) => {
    expect(faultsOf({ PUBLIC_URL, COOKIE_DOMAIN })).toContain('\n  COOKIE_DOMAIN: ')
    expect(
      parseConfig({ PUBLIC_URL: 'https://q.example.com', COOKIE_DOMAIN: 'example.com' }),
    ).toHaveProperty('COOKIE_DOMAIN', 'example.com')
  })

  test('several instances without the address that they stand behind', () => {
    const shared = { DATABASE_URL: 'postgres://db/quintet', REDIS_URL: 'redis://cache' }
    expect(faultsOf(shared)).toContain('\n  PUBLIC_URL: expected the address of all instances')
    expect(faultsOf(shared)).toContain('\n  S3_BUCKET: expected the bucket of all instances')
    const rest = {
      PUBLIC_URL: 'https://a.example',
      S3_BUCKET: 'files',
      S3_ACCESS_KEY_ID: 'id',
      S3_SECRET_ACCESS_KEY: 'key',
    }
    expect(parseConfig({ ...shared, ...rest })).toMatchObject(shared)
    expect(parseConfig({ DATABASE_URL: shared.DATABASE_URL })).toBeDefined()
    expect(parseConfig({ REDIS_URL: shared.REDIS_URL })).toBeDefined()
  })

  test('are all named at once, and their values never', () => {
    const bad = {
      PORT: '70707',
      JWT_SECRET: 'a-short-secret',
      ADMIN_PASSWORD: 'pass',
      METRICS_TOKEN: 'hunter2',
      REDIS_URL: 'redis//:geheim@localhost',
      OTEL_EXPORTER_OTLP_ENDPOINT: 'ftp://k3y@collector',
      OTEL_EXPORTER_OTLP_HEADERS: 'k3y%',
      LOG_LEVEL: 'shouting',
      CORS_ORIGINS: 'https://user:pa55@a.example',
    }
    const faults = faultsOf(bad)
    for (const [name, value] of Object.entries(bad)) {
      expect(faults).toContain(`\n  ${name}: `)
      expect(faults).not.toContain(value)
    }
  })
})

describe('the settings of mail', () => {
  const from = 'Quintet <quintet@example.com>'

  test.each([
    ['smtp://localhost:1025', 'quintet@example.com'],
    ['smtps://me%40example.com:p%2Fss@smtp.example.com', from],
    ['smtp://me:pass@[::1]:587/', '"Quintet, Inc." <quintet@example.com>'],
  ])('%s from %s', (SMTP_URL, MAIL_FROM) => {
    expect(parseConfig({ SMTP_URL, MAIL_FROM })).toMatchObject({ SMTP_URL, MAIL_FROM })
  })

  test.each([
    'mail.example.com',
    'http://mail.example.com',
    'smtp://',
    'smtp://me:100%@mail.example.com',
    'smtp://me@mail.example.com',
    'smtp://mail.example.com/inbox',
    // It would be for the library, and turn its checks off.
    'smtp://mail.example.com?tls.rejectUnauthorized=false',
    'smtp://mail.example.com?ignoreTLS=true',
  ])('no server: %s', (SMTP_URL) => {
    const faults = faultsOf({ SMTP_URL, MAIL_FROM: from })
    expect(faults).toContain('\n  SMTP_URL: expected an address such as smtp://')
    if (SMTP_URL.includes('me')) expect(faults).not.toContain(SMTP_URL)
  })

  test.each(['Quintet', 'a@example.com, b@example.com', 'A <a@b.c>\r\nBcc: x@y.z', '<a>'])(
    'no sender: %j',
    (MAIL_FROM) => {
      const faults = faultsOf({ SMTP_URL: 'smtp://localhost', MAIL_FROM })
      expect(faults).toContain('\n  MAIL_FROM: expected a sender such as')
    },
  )

  test('are refused one without the other', () => {
    expect(faultsOf({ SMTP_URL: 'smtp://localhost' })).toContain(
      'MAIL_FROM: expected a value, since SMTP_URL is set',
    )
    expect(faultsOf({ MAIL_FROM: from })).toContain(
      'SMTP_URL: expected a value, since MAIL_FROM is set',
    )
  })
})

describe('the settings of object storage', () => {
  const complete = {
    S3_BUCKET: 'files',
    S3_ACCESS_KEY_ID: 'id',
    S3_SECRET_ACCESS_KEY: 'hunter2-secret',
    S3_ENDPOINT: 'https://s3.example.com/',
    S3_PREFIX: 'quintet/files/',
  }

  test('are used where they are complete; endpoint and prefix may be absent', () => {
    expect(parseConfig(complete)).toMatchObject({ S3_ENDPOINT: 'https://s3.example.com' })
    const { S3_ENDPOINT: _, S3_PREFIX: __, ...least } = complete
    expect(parseConfig(least)).toMatchObject({ S3_BUCKET: 'files', S3_REGION: 'us-east-1' })
  })

  test.each([
    ['S3_BUCKET', 'S3_BUCKET: expected a value, since S3_ENDPOINT is set'],
    ['S3_ACCESS_KEY_ID', 'S3_ACCESS_KEY_ID: expected a value, since S3_BUCKET is set'],
    ['S3_SECRET_ACCESS_KEY', 'S3_SECRET_ACCESS_KEY: expected a value, since S3_BUCKET is set'],
  ])('are refused without %s', (missing, fault) => {
    const faults = faultsOf({ ...complete, [missing]: '' })
    expect(faults).toContain(fault)
    expect(faults).not.toContain('hunter2')
  })

  test('are refused without a bucket, each alone', () => {
    for (const name of ['S3_ENDPOINT', 'S3_ACCESS_KEY_ID', 'S3_SECRET_ACCESS_KEY', 'S3_PREFIX']) {
      const given = { [name]: complete[name as keyof typeof complete] }
      expect(faultsOf(given)).toContain(`S3_BUCKET: expected a value, since ${name} is set`)
    }
  })

  test.each(['quintet', '/quintet/', '../', 'a//', 'a b/', './'])('have no prefix %p', (prefix) => {
    expect(faultsOf({ ...complete, S3_PREFIX: prefix })).toContain('S3_PREFIX: expected a path')
  })
})
