import { open } from 'node:fs/promises'

import { Refused } from '../engine/refused.ts'
import type { UploadFormat } from './upload-format.ts'

const HEAD_BYTES = 512

/** What files begin with that are sent by mistake. */
const beginnings: [hex: string, what: string][] = [
  ['504b0304', 'a zip file, such as a workbook of Excel: save the sheet as CSV'],
  ['d0cf11e0', 'an old workbook of Excel: save the sheet as CSV'],
  ['25504446', 'a PDF'],
  ['89504e47', 'a picture'],
  ['53514c69746520666f726d6174', 'an SQLite database'],
  ['580a', 'an RDS file: write the data frame as CSV or Parquet'],
  ['52445833', 'an RData file: write the data frame as CSV or Parquet'],
  ['8004', 'a pickle: write the data frame as CSV or Parquet'],
  ['8005', 'a pickle: write the data frame as CSV or Parquet'],
  ['425a68', 'compressed by bzip2: use gzip or zstd'],
  ['fd377a585a', 'compressed by xz: use gzip or zstd'],
  ['1f8b', 'compressed by gzip, twice'],
  ['28b52ffd', 'compressed by Zstandard, twice'],
  ['50415231', 'Parquet: say format=parquet'],
  ['50415245', 'an encrypted Parquet file: write it without encryption'],
  ['4152524f5731', 'Arrow: say format=arrow'],
  ['46454131', 'Feather of the first version: write it by a newer one'],
  ['4f524301', 'ORC: write it as Parquet'],
  ['4f626a01', 'Avro: write it as Parquet'],
]
/** Others have no beginning of their own. */
const OWN_BEGINNINGS: Partial<Record<UploadFormat, string>> = {
  parquet: '50415231',
  arrow: '4152524f5731',
}
const NAMES: Partial<Record<UploadFormat, string>> = { parquet: 'Parquet', arrow: 'Arrow' }

/** @throws {Refused} for what is plainly something else. */
export async function requireFormat(path: string, format: UploadFormat): Promise<void> {
  const head = await headOf(path)
  if (head.length === 0) throw new Refused('It is empty.')
  const hex = head.toString('hex')
  const own = OWN_BEGINNINGS[format]
  if (own !== undefined && hex.startsWith(own)) return
  const found = beginnings.find(([beginning]) => hex.startsWith(beginning))
  if (found !== undefined)
    throw new Refused(`It is no ${nameOf(format)}: it looks like ${found[1]}.`)
  if (format === 'parquet') throw new Refused('It is no Parquet: it does not begin with PAR1.')
  if (/^\s*<(?:!doctype html|html|\?xml)/i.test(head.toString('latin1'))) {
    throw new Refused(`It is no ${nameOf(format)}: it looks like a web page or XML.`)
  }
}

const nameOf = (format: UploadFormat) => NAMES[format] ?? format.toUpperCase()

async function headOf(path: string): Promise<Buffer> {
  const file = await open(path)
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(HEAD_BYTES), 0, HEAD_BYTES, 0)
    return buffer.subarray(0, bytesRead)
  } finally {
    await file.close()
  }
}
