/** What an upload is written as. */
export const uploadFormats = ['csv', 'tsv', 'ndjson', 'json', 'parquet', 'arrow'] as const
export type UploadFormat = (typeof uploadFormats)[number]
export type Compression = 'none' | 'gzip' | 'zstd'

/** How a CSV is written, where it is not to be found out. */
export interface CsvDialect {
  delimiter?: string
  quote?: string
  header?: boolean
  encoding?: 'utf-8' | 'latin-1' | 'utf-16'
  /** What stands for nothing, beside the empty text. */
  nullText?: string[]
  decimalComma?: boolean
  /** As strptime reads them. */
  dateFormat?: string
  timestampFormat?: string
}
