import { z } from 'zod'

import { problems } from '../../gateway/problems.ts'
import { dataProblems } from '../problems.ts'

const NDJSON = /^application\/(?:x-)?(?:ndjson|jsonl|jsonlines)\b/i
const CLOUD_EVENT = /^application\/cloudevents\+json\b/i
const CLOUD_EVENTS = /^application\/cloudevents-batch\+json\b/i

/** @see https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/spec.md#required-attributes */
const cloudEvent = z.looseObject({
  specversion: z.literal('1.0'),
  id: z.string().min(1),
  source: z.string().min(1),
  type: z.string().min(1),
})

/**
 * The rows of a body as NDJSON. A CloudEvent is a row of its attributes, `data` among them.
 *
 * @throws {Problem} 415, 422 naming the first that is none.
 */
export function eventLines(
  text: string,
  contentType: string | null,
): { lines: string; rows: number } {
  const type = contentType ?? ''
  if (NDJSON.test(type)) return ofLines(text)
  if (CLOUD_EVENT.test(type)) return ofEvents([parsed(text, 'The body')])
  if (CLOUD_EVENTS.test(type)) {
    const events = parsed(text, 'The body')
    if (Array.isArray(events)) return ofEvents(events)
    throw refused('The body is no array of events.')
  }
  throw problems.unsupportedMediaType({
    detail:
      'Send application/x-ndjson, application/cloudevents+json or application/cloudevents-batch+json.',
  })
}

function ofLines(text: string): { lines: string; rows: number } {
  const kept: string[] = []
  for (const [at, line] of text.split('\n').entries()) {
    if (line.trim() === '') continue
    const value = parsed(line, `Line ${at + 1}`)
    if (typeof value !== 'object' || value === null || Array.isArray(value)) {
      throw refused(`Line ${at + 1} is no JSON object.`)
    }
    kept.push(line)
  }
  return joined(kept)
}

function ofEvents(events: readonly unknown[]): { lines: string; rows: number } {
  return joined(
    events.map((event, at) => {
      const checked = cloudEvent.safeParse(event)
      if (checked.success) return JSON.stringify(event)
      const [issue] = checked.error.issues
      throw refused(`Event ${at + 1} is none: ${issue!.path.join('.')}: ${issue!.message}.`)
    }),
  )
}

function joined(lines: readonly string[]): { lines: string; rows: number } {
  if (lines.length === 0) throw refused('There is no row in it.')
  return { lines: `${lines.join('\n')}\n`, rows: lines.length }
}

function parsed(text: string, what: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    throw refused(`${what} is not valid JSON.`)
  }
}

const refused = (detail: string) => dataProblems.refusedUpload({ detail })
