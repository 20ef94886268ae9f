/** The forms in which rows leave the server. */
export const resultFormats = {
  json: { mediaType: 'application/json' },
  ndjson: { mediaType: 'application/x-ndjson' },
  csv: { mediaType: 'text/csv; charset=utf-8' },
  parquet: { mediaType: 'application/vnd.apache.parquet' },
  arrow: { mediaType: 'application/vnd.apache.arrow.stream' },
} as const

export type ResultFormat = keyof typeof resultFormats

export const resultFormatNames = Object.keys(resultFormats) as [ResultFormat, ...ResultFormat[]]
