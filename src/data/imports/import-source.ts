import { z } from 'zod'

import { uploadFormats } from '../conversion/upload-format.ts'

const ADDRESS_CHARACTERS_MAX = 4096
const REJECTED_MAX = 10_000

/** Where rows come from that are not here. */
export const importSourceSchema = z
  .strictObject({
    url: z.string().max(ADDRESS_CHARACTERS_MAX).meta({
      description:
        'Of a file, by https. A link with a signature, such as one of S3, needs nothing else; its query is not shown again',
      example: 'https://data.example.com/sales.csv.gz',
    }),
    format: z
      .enum(uploadFormats)
      .optional()
      .meta({ description: 'Where neither its Content-Type nor its name says it' }),
    rejected_max: z.int().min(0).max(REJECTED_MAX).default(0).meta({
      description: 'Rows that may be left out since they do not fit',
    }),
  })
  .meta({ id: 'ImportSource' })

export type ImportSource = z.output<typeof importSourceSchema>

/** As others may see it: the query of an address may be what opens it. */
export function shownSource({ url, ...source }: ImportSource): ImportSource {
  const { origin, pathname, search } = new URL(url)
  return { ...source, url: `${origin}${pathname}${search === '' ? '' : '?…'}` }
}
