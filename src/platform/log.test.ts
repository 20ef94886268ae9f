import { describe, expect, test } from 'bun:test'

import { DrizzleQueryError } from 'drizzle-orm/errors'

import { type LogContext, logContext, openLog } from './log.ts'

type Line = Record<string, unknown>

function createLog(LOG_LEVEL: Parameters<typeof openLog>[0]['LOG_LEVEL'] = 'info') {
  const lines: Line[] = []
  const { log } = openLog({ LOG_LEVEL }, { write: (line) => void lines.push(JSON.parse(line)) })
  return { log, lines }
}

const context: LogContext = {
  'http.request.id': 'request-1',
  'trace.id': '4bf92f3577b34da6a3ce929d0e0e4736',
  'span.id': '00f067aa0ba902b7',
}

describe('a line', () => {
  test('has the names of the Elastic Common Schema', () => {
    const { log, lines } = createLog()
    log.info({ 'event.duration': 5 }, 'done')
    expect(lines).toEqual([
      {
        '@timestamp': expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
        'log.level': 'info',
        'ecs.version': '8.10.0',
        'service.name': 'quintet',
        'event.duration': 5,
        message: 'done',
      },
    ])
  })

  test('is written from its level upwards', () => {
    const { log, lines } = createLog('warn')
    log.info('no')
    log.warn('yes')
    log.error('yes')
    expect(lines.map((line) => line['log.level'])).toEqual(['warn', 'error'])
    const silent = createLog('silent')
    silent.log.fatal('no')
    expect(silent.lines).toEqual([])
  })

  test('that holds line breaks stays one line', () => {
    const { log, lines } = createLog()
    log.info({ 'url.path': '/a\n{"log.level":"fatal"}' }, 'a\r\nb')
    expect(lines).toMatchObject([{ message: 'a\r\nb', 'log.level': 'info' }])
  })
})

describe('a secret', () => {
  const names = [
    'password',
    'current_password',
    'token',
    'refresh_token',
    'authorization',
    'cookie',
  ]
  test.each(names)('called %s is not written, at the top or one level down', (name) => {
    const { log, lines } = createLog()
    log.info({ [name]: 'hunter2', body: { [name]: 'hunter2', kept: 1 } }, 'login')
    expect(JSON.stringify(lines)).not.toContain('hunter2')
    expect(lines).toMatchObject([{ [name]: '[redacted]', body: { kept: 1 } }])
  })

  test('is not taken from the one who logs it', () => {
    const { log } = createLog()
    const body = { password: 'hunter2' }
    log.info({ body }, 'login')
    expect(body).toEqual({ password: 'hunter2' })
  })
})

describe('an error', () => {
  test('is written with its type, its stack and its causes', () => {
    const { log, lines } = createLog()
    const cause = new RangeError('inner', { cause: 'a text' })
    log.error({ error: new TypeError('outer', { cause }) }, 'failed')
    expect(lines).toMatchObject([
      {
        message: 'failed',
        error: {
          type: 'TypeError',
          message: 'outer',
          stack_trace: expect.stringContaining('log.test.ts'),
          cause: { type: 'RangeError', message: 'inner', cause: { message: 'a text' } },
        },
      },
    ])
  })

  test('can be all that is logged', () => {
    const { log, lines } = createLog()
    log.error(new TypeError('alone'))
    expect(lines).toMatchObject([{ message: 'alone', error: { type: 'TypeError' } }])
  })

  test('may be anything that was thrown', () => {
    const { log, lines } = createLog()
    for (const error of ['a text', undefined, null, 7]) log.error({ error }, 'failed')
    expect(lines).toHaveLength(4)
    expect(lines[0]).toMatchObject({ error: { message: 'a text' } })
  })

  test('of a query does not tell its values', () => {
    const { log, lines } = createLog()
    const error = new DrizzleQueryError('insert into t values (?)', ['hunter2'], new Error('full'))
    expect(error.message).toContain('hunter2')
    log.error({ error }, 'failed')
    expect(lines).toMatchObject([
      { error: { message: 'Failed query: insert into t values (?)', cause: { message: 'full' } } },
    ])
    expect(JSON.stringify(lines)).not.toContain('hunter2')
  })

  test('may be its own cause', () => {
    const { log, lines } = createLog()
    const error = new Error('round')
    error.cause = new Error('and round', { cause: error })
    log.error({ error }, 'failed')
    expect(lines).toMatchObject([{ error: { message: 'round', cause: { message: 'and round' } } }])
  })
})

describe('the context of a request', () => {
  test('is on each of its lines, after an await too, and on no other', async () => {
    const { log, lines } = createLog()
    const other = { ...context, 'http.request.id': 'request-2' }
    const work = async (name: string) => {
      log.info(name)
      await Bun.sleep(1)
      log.info(name)
    }
    await Promise.all([
      logContext.run(context, () => work('request-1')),
      logContext.run(other, () => work('request-2')),
    ])
    log.info('start')
    expect(lines).toHaveLength(5)
    for (const line of lines.slice(0, 4)) expect(line['http.request.id']).toBe(line['message'])
    expect(lines[0]).toMatchObject(context)
    for (const name of Object.keys(context)) expect(lines[4]).not.toHaveProperty(name)
  })

  test('takes nothing over from the fields of a line', () => {
    const { log, lines } = createLog()
    const before = structuredClone(context)
    logContext.run(context, () => {
      log.info({ only: 'the first', 'span.id': 'its own' }, 'first')
      log.info('second')
    })
    expect(context).toEqual(before)
    expect(lines).toMatchObject([{ only: 'the first', 'span.id': 'its own' }, context])
    expect(lines[1]).not.toHaveProperty('only')
  })
})

test('what was logged before the close is on standard output', async () => {
  const script = `
    import { openLog } from '${import.meta.dir}/log.ts'
    const { log, close } = openLog({ LOG_LEVEL: 'info' })
    for (let line = 0; line < 1000; line += 1) log.info({ line }, 'x'.repeat(100))
    await close()
    process.kill(process.pid, 'SIGKILL')`
  const child = Bun.spawn([process.execPath, '-e', script], { stdout: 'pipe' })
  const lines = (await child.stdout.text()).split('\n')
  expect(lines).toHaveLength(1001)
  expect(JSON.parse(lines[999]!)).toMatchObject({ line: 999 })
})
