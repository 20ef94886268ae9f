import { z } from '@hono/zod-openapi'

const PAGE_MAX = 100
const PAGE = 20

const isPageLimit = (text: string) => /^[1-9]\d{0,2}$/.test(text) && Number(text) <= PAGE_MAX

/** What the query of a list says of the page that is wanted: the entries before one, the newest first. */
export const pageQuery = {
  before: z.string().max(64).optional().openapi({ description: 'The `next` of the page before' }),
  limit: z
    .string()
    .refine(isPageLimit, `expected a whole number from 1 to ${PAGE_MAX}`)
    .default(String(PAGE))
    .transform(Number)
    .openapi({ type: 'integer', minimum: 1, maximum: PAGE_MAX, default: PAGE, example: PAGE }),
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
