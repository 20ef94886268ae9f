import { z } from '@hono/zod-openapi'

const PAGE_MAX = 100
const PAGE = '20'

/** What the query of a list says of the page that is wanted: the entries before one, the newest first. */
export const pageQuery = {
  before: z.string().max(64).optional().openapi({ description: 'The `next` of the page before' }),
  limit: z
    .string()
    .regex(/^[1-9]\d{0,2}$/, 'expected a whole number')
    .default(PAGE)
    .transform(Number)
    .refine((limit) => limit <= PAGE_MAX, `expected at most ${PAGE_MAX}`)
    .openapi({ type: 'string', example: PAGE }),
}

/** The `before` of the next page, where there is one. */
export const nextPage = z
  .string()
  .nullable()
  .openapi({ description: 'The `before` of the next page' })

/** The entries of a page, from one more than it has room for, and where the next one begins. */
export function pageOf<Entry extends { id: string }>(found: Entry[], limit: number) {
  const shown = found.slice(0, limit)
  return { shown, next: found.length > limit ? shown.at(-1)!.id : null }
}
