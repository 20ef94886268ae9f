import { AsyncLocalStorage } from 'node:async_hooks'

import pino, { type DestinationStream, type Logger } from 'pino'
import pretty, { type PrettyOptions } from 'pino-pretty'

import { isoTime } from './clock.ts'
import type { Config } from './config.ts'
import { openLogOutput } from './log-output.ts'

export interface Log extends Logger {
  /**
   * Writes a line at `info` whose fields hold no secret and no error: once a request, so it matters
   * that it takes 1 µs where pino takes 12 under load.
   */
  writePlain(message: string, fields: Record<string, string | number | undefined>): void
}

/** Marks what belongs to a trace that is recorded. A symbol, so that no line shows it. */
export const recorded = Symbol('recorded')

/**
 * What every line written during a request or a job carries, in the names of the Elastic Common
 * Schema; also the position in the trace that new spans are below.
 */
export interface LogContext {
  /** None in a job. */
  'http.request.id'?: string
  'trace.id': string
  'span.id': string
  [recorded]?: true
}

/** The request, or the job, that the running code belongs to. */
export const logContext = new AsyncLocalStorage<LogContext>()

const STANDARD_OUTPUT = 1
const NO_CONTEXT = {}

/** Names whose values never reach a line, at the top or one level down. */
const secrets = [
  'password',
  'current_password',
  'token',
  'refresh_token',
  'authorization',
  'cookie',
]

/**
 * Opens the log: JSON lines by the Elastic Common Schema on standard output, buffered; readable
 * text where standard output is a terminal.
 */
export function openLog(
  { LOG_LEVEL }: Pick<Config, 'LOG_LEVEL'>,
  destination?: DestinationStream,
): { log: Log; close: () => Promise<void> } {
  if (destination === undefined && process.stdout.isTTY) {
    return { log: createLog(LOG_LEVEL, pretty(readable)), close: async () => {} }
  }
  if (destination !== undefined) {
    return { log: createLog(LOG_LEVEL, destination), close: async () => {} }
  }
  const output = openLogOutput(STANDARD_OUTPUT)
  return { log: createLog(LOG_LEVEL, output), close: () => output.close() }
}

/** A request as one short line, everything else with its fields. */
const readable: PrettyOptions = {
  messageKey: 'message',
  timestampKey: '@timestamp',
  levelKey: 'log\\.level',
  errorLikeObjectKeys: ['error'],
  translateTime: 'SYS:HH:MM:ss',
  singleLine: true,
  ignore: [
    'ecs.version',
    'service.name',
    'trace.id',
    'span.id',
    'http.request.id',
    'http.request.method',
    'url.path',
    'http.response.status_code',
    'event.duration',
    'client.ip',
    'user.id',
  ]
    .map((name) => name.replaceAll('.', String.raw`\.`))
    .join(','),
  messageFormat: (line, messageKey) => {
    if (!('http.request.method' in line)) return String(line[messageKey])
    const milliseconds = (Number(line['event.duration']) / 1e6).toFixed(1)
    const names = ['http.response.status_code', 'http.request.method', 'url.path']
    return [...names.map((name) => String(line[name])), milliseconds, 'ms'].join(' ')
  },
}

function createLog(level: string, destination: DestinationStream): Log {
  const log = pino(
    {
      level,
      messageKey: 'message',
      errorKey: 'error',
      base: { 'ecs.version': '8.10.0', 'service.name': 'quintet' },
      timestamp: () => `,"@timestamp":"${isoTime(Date.now())}"`,
      formatters: { level: (label) => ({ 'log.level': label }) },
      serializers: { error: (error: unknown) => describeError(error) },
      mixin: () => logContext.getStore() ?? NO_CONTEXT,
      // pino's own way writes the line's fields into the context.
      mixinMergeStrategy: (fields, context) => ({ ...context, ...fields }),
      redact: { paths: secrets.flatMap((name) => [name, `*.${name}`]), censor: '[redacted]' },
    },
    destination,
  )
  return Object.assign(log, {
    writePlain(message: string, fields: Record<string, string | number | undefined>) {
      if (!log.isLevelEnabled('info')) return
      const line = JSON.stringify({ ...logContext.getStore(), ...fields, message })
      destination.write(`${PLAIN_HEAD}${isoTime(Date.now())}${PLAIN_BASE}${line.slice(1)}\n`)
    },
  })
}

/** A plain line begins as pino's do. */
const PLAIN_HEAD = '{"log.level":"info","@timestamp":"'
const PLAIN_BASE = '","ecs.version":"8.10.0","service.name":"quintet",'

/** A cause may have itself as its cause. */
const CAUSES_MAX = 5

function describeError(error: unknown, causesMax = CAUSES_MAX): Record<string, unknown> {
  if (!(error instanceof Error)) return { message: String(error) }
  const { name: type, stack, cause } = error
  const message = messageOf(error)
  const isLast = cause === undefined || causesMax === 0
  return {
    type,
    message,
    stack_trace: stack?.replace(error.message, message),
    ...(isLast ? {} : { cause: describeError(cause, causesMax - 1) }),
  }
}

/** drizzle's errors tell the values of a failed query, which may be hashes and keys. */
const messageOf = (error: Error) =>
  'query' in error && 'params' in error ? `Failed query: ${String(error.query)}` : error.message
