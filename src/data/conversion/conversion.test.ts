import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync, zstdCompressSync } from 'node:zlib'

import { DuckDBInstance } from '@duckdb/node-api'

import { openLog } from '../../platform/log.ts'
import { openPartials } from '../../platform/storage/partial.ts'
import { createEngine, type Engine } from '../engine/engine.ts'
import { WorkFailed } from '../engine/query-process.ts'
import type { Converted, ConvertOrder } from './conversion.ts'
import type { Compression, UploadFormat } from './upload-format.ts'

const MEBIBYTE = 2 ** 20
const EXPANDED_BYTES_MAX = 64 * MEBIBYTE

const root = mkdtempSync(join(tmpdir(), 'conversion-'))
const upload = join(root, 'upload')
const { log } = openLog({ LOG_LEVEL: 'silent' }, { write: () => {} })

let engine: Engine
let duckdb: DuckDBInstance
beforeAll(async () => {
  duckdb = await DuckDBInstance.create()
  engine = createEngine({
    atOnceMax: 1,
    waitingMax: 1,
    means: { threads: 2, memoryBytesMax: 1024 * MEBIBYTE },
    spillBytesMax: 256 * MEBIBYTE,
    partials: openPartials(join(root, 'workspaces')),
    log,
  })
})
afterAll(async () => {
  await engine.close()
  duckdb.closeSync()
  rmSync(root, { recursive: true })
})

type Options = Partial<Omit<ConvertOrder, 'source' | 'path' | 'format'>>

interface Result extends Converted {
  data: unknown[]
}

/** What it becomes, with the rows as DuckDB reads them back. */
async function converted(
  format: UploadFormat,
  content: string | Uint8Array,
  options: Options = {},
): Promise<Result> {
  writeFileSync(upload, content)
  const order = (directory: string): ConvertOrder => ({
    source: upload,
    format,
    compression: 'none',
    path: join(directory, 'rows.parquet'),
    rejectedMax: 10,
    csv: {},
    types: {},
    bytesMax: 64 * MEBIBYTE,
    expandedBytesMax: EXPANDED_BYTES_MAX,
    ...options,
  })
  return engine.run('convert', [upload], order, {
    timeoutMs: 20_000,
    take: async (result, directory) => {
      const connection = await duckdb.connect()
      const path = join(directory, 'rows.parquet')
      expect(result.bytes).toBe(Bun.file(path).size)
      const read = await connection.runAndReadAll(`FROM read_parquet('${path}')`)
      connection.closeSync()
      return { ...result, data: read.getRowsJson() }
    },
  })
}

async function refusalOf(work: Promise<unknown>): Promise<string> {
  try {
    await work
  } catch (error) {
    if (error instanceof WorkFailed && error.failure === 'refused') return error.message
    throw error
  }
  throw new Error('it was taken')
}

const typesOf = ({ columns }: Result) => columns.map(({ name, type }) => `${name} ${type}`)

interface Case {
  name: string
  content: string | Uint8Array
  options?: Options
  columns: string[]
  data: unknown[][]
  rejected?: Converted['rejected']
}

const latin1 = (text: string) => Buffer.from(text, 'latin1')
const utf16 = (text: string) => Buffer.from(`\uFEFF${text}`, 'utf16le')

const csv: Case[] = [
  {
    name: 'plain',
    content: 'id,name,v\n1,Ada,1.5\n2,Eve,2\n',
    columns: ['id BIGINT', 'name VARCHAR', 'v DOUBLE'],
    data: [
      ['1', 'Ada', 1.5],
      ['2', 'Eve', 2],
    ],
  },
  {
    name: 'a BOM, semicolons, CRLF and commas in numbers',
    content: '\uFEFFid;name;v\r\n1;Ada;1,5\r\n2;Eve;2,25\r\n',
    columns: ['id BIGINT', 'name VARCHAR', 'v DOUBLE'],
    data: [
      ['1', 'Ada', 1.5],
      ['2', 'Eve', 2.25],
    ],
  },
  {
    name: 'Latin-1',
    content: latin1('name,city\nJosé,Zürich\n'),
    columns: ['name VARCHAR', 'city VARCHAR'],
    data: [['José', 'Zürich']],
  },
  {
    name: 'what Windows has beyond Latin-1',
    content: Buffer.from([0x61, 0x2c, 0x62, 0x0a, 0x80, 0x2c, 0x93, 0x0a]),
    columns: ['a VARCHAR', 'b VARCHAR'],
    data: [['€', '“']],
  },
  {
    name: 'UTF-16, as Excel saves “Unicode text”',
    content: utf16('a\tb\r\n1\tü\r\n'),
    columns: ['a BIGINT', 'b VARCHAR'],
    data: [['1', 'ü']],
  },
  {
    name: 'line ends, delimiters and quotes in quotes',
    content: 'a,b\n1,"x\ny, ""z"""\n2,w\n',
    columns: ['a BIGINT', 'b VARCHAR'],
    data: [
      ['1', 'x\ny, "z"'],
      ['2', 'w'],
    ],
  },
  {
    name: 'rows that are too short or too long, with their lines',
    content: 'a,b\n1,"x\ny"\n2\n3,z\n4,u,v\n5,w\n',
    columns: ['a BIGINT', 'b VARCHAR'],
    data: [
      ['1', 'x\ny'],
      ['3', 'z'],
      ['5', 'w'],
    ],
    rejected: [
      { line: 4, reason: 'has 1 fields, and there are 2 columns', text: '2' },
      { line: 6, reason: 'has 3 fields, and there are 2 columns', text: '4,u,v' },
    ],
  },
  {
    name: 'a text among many numbers is left out',
    content: `a,b\n${'1,x\n'.repeat(50)}about 7,y\n2,z\n`,
    columns: ['a BIGINT', 'b VARCHAR'],
    data: [...Array.from({ length: 50 }, () => ['1', 'x']), ['2', 'z']],
    rejected: [{ line: 52, column: 'a', reason: '"about 7" is no BIGINT', text: 'about 7,y' }],
  },
  {
    name: 'many texts among numbers make a column of texts',
    content: 'a\n1\n2\nx\n',
    columns: ['a VARCHAR'],
    data: [['1'], ['2'], ['x']],
  },
  {
    name: 'codes keep their zeros',
    content: 'zip,n\n01234,1\n8001,2\n',
    columns: ['zip VARCHAR', 'n BIGINT'],
    data: [
      ['01234', '1'],
      ['8001', '2'],
    ],
  },
  {
    name: 'codes keep their zeros, wherever the first one is',
    content: `zip\n${'8001\n'.repeat(300_000)}01234\n`,
    columns: ['zip VARCHAR'],
    data: [...Array.from({ length: 300_000 }, () => ['8001']), ['01234']],
  },
  {
    name: 'halves, wherever the first one is',
    content: `n\n${'8001\n'.repeat(300_000)}0.5\n`,
    columns: ['n DOUBLE'],
    data: [...Array.from({ length: 300_000 }, () => [8001]), [0.5]],
  },
  {
    name: 'three fields of five',
    content: 'a,b,c,d,e\n1,2,3,4,5\nx,2,3\n',
    columns: ['a VARCHAR', 'b BIGINT', 'c BIGINT', 'd BIGINT', 'e BIGINT'],
    data: [['1', '2', '3', '4', '5']],
    rejected: [{ line: 3, reason: 'has 3 fields, and there are 5 columns', text: 'x,2,3' }],
  },
  {
    name: 'whole numbers beyond 64 bits',
    content: 'n\n1\n123456789012345678901234567890\n',
    columns: ['n DECIMAL(38,0)'],
    data: [['1'], ['123456789012345678901234567890']],
  },
  {
    name: 'whole numbers beyond all types',
    content: `n\n1\n${'9'.repeat(60)}\n`,
    columns: ['n VARCHAR'],
    data: [['1'], ['9'.repeat(60)]],
  },
  {
    name: 'what stands for nothing',
    content: 'a,b,c\nNA,,x\n1,NULL,N/A\nNaN,2.5,\\N\n',
    columns: ['a BIGINT', 'b DOUBLE', 'c VARCHAR'],
    data: [
      [null, null, 'x'],
      ['1', null, null],
      [null, 2.5, null],
    ],
  },
  {
    name: 'dates and times',
    content:
      'd,t,z,h,g\n2026-01-31,2026-01-31 10:00:00,2026-01-31T10:00:00+02:00,10:00:00,31.01.2026\n',
    columns: ['d DATE', 't TIMESTAMP', 'z TIMESTAMP WITH TIME ZONE', 'h TIME', 'g DATE'],
    data: [
      ['2026-01-31', '2026-01-31 10:00:00', '2026-01-31 08:00:00+00', '10:00:00', '2026-01-31'],
    ],
  },
  {
    name: 'what could be two dates is neither',
    content: 'd\n01/02/2026\n',
    columns: ['d VARCHAR'],
    data: [['01/02/2026']],
  },
  {
    name: 'unless its form is said',
    content: 'd\n01/02/2026\n',
    options: { csv: { dateFormat: '%d/%m/%Y' }, types: { d: 'DATE' } },
    columns: ['d DATE'],
    data: [['2026-02-01']],
  },
  {
    name: 'types that are said',
    content: 'a,b\n1,2\n',
    options: { types: { A: 'VARCHAR', b: 'DECIMAL(9,2)' } },
    columns: ['a VARCHAR', 'b DECIMAL(9,2)'],
    data: [['1', '2.00']],
  },
  {
    name: 'names that are none, or there twice',
    content: 'a,A,,b c\n1,2,3,4\n',
    options: { csv: { header: true } },
    columns: ['a BIGINT', 'A_1 BIGINT', 'column3 BIGINT', 'b c BIGINT'],
    data: [['1', '2', '3', '4']],
  },
  {
    name: 'no header',
    content: '1,x\n2,y\n',
    columns: ['column1 BIGINT', 'column2 VARCHAR'],
    data: [
      ['1', 'x'],
      ['2', 'y'],
    ],
  },
  {
    name: 'a header alone',
    content: 'a,b\n',
    columns: ['a VARCHAR', 'b VARCHAR'],
    data: [],
  },
  {
    name: 'one column',
    content: 'a\n1\n2\n',
    columns: ['a BIGINT'],
    data: [['1'], ['2']],
  },
  {
    name: 'no line end at the end',
    content: 'a|b\n1|true\n2|FALSE',
    columns: ['a BIGINT', 'b BOOLEAN'],
    data: [
      ['1', true],
      ['2', false],
    ],
  },
  {
    name: 'names and values that look like SQL',
    content: `"a'); DROP TABLE x; --","b""c"\n"'; SELECT 1",2\n`,
    columns: [`a'); DROP TABLE x; -- VARCHAR`, 'b"c BIGINT'],
    data: [["'; SELECT 1", '2']],
  },
  {
    name: 'exponents and signs',
    content: 'a,b\n+1,1e3\n-2,-.5\n',
    columns: ['a BIGINT', 'b DOUBLE'],
    data: [
      ['1', 1000],
      ['-2', -0.5],
    ],
  },
  {
    name: 'a delimiter that is said',
    content: 'a~b\n1~2\n',
    options: { csv: { delimiter: '~' } },
    columns: ['a BIGINT', 'b BIGINT'],
    data: [['1', '2']],
  },
]

describe('CSV', () => {
  test.each(csv.map((each) => [each.name, each] as const))('%s', async (_, each) => {
    const result = await converted('csv', each.content, each.options)
    expect(typesOf(result)).toEqual(each.columns)
    expect(result.data).toEqual(each.data)
    expect(result.rejected).toEqual(each.rejected ?? [])
    expect([result.rows, result.rejectedRows]).toEqual([
      each.data.length,
      each.rejected?.length ?? 0,
    ])
  })

  test('2,000 columns', async () => {
    const names = Array.from({ length: 2000 }, (_, at) => `c${at}`).join(',')
    const result = await converted('csv', `${names}\n${names.replaceAll('c', '')}\n`)
    expect(result.columns.length).toBe(2000)
    expect(result.columns.at(-1)).toEqual({ name: 'c1999', type: 'BIGINT' })
  })

  test('a line behind many', async () => {
    const rows = Array.from({ length: 200_000 }, (_, at) => `${at},"x\n${at}"\n`).join('')
    const { rejected, rows: taken } = await converted('csv', `a,b\n${rows}oops\n1,y\n`)
    expect(rejected).toEqual([
      { line: 400_002, reason: 'has 1 fields, and there are 2 columns', text: 'oops' },
    ])
    expect(taken).toBe(200_001)
  })
})

const ndjson: Case[] = [
  {
    name: 'objects, nested too, with keys that come late',
    content: '{"a":1,"b":{"x":1}}\n\n{"a":2.5,"c":[1,2]}\n',
    columns: ['a DOUBLE', 'b STRUCT("x" BIGINT)', 'c BIGINT[]'],
    data: [
      [1, { x: '1' }, null],
      [2.5, null, ['1', '2']],
    ],
  },
  {
    name: 'lines that are none',
    content: '{"a":1}\nnot json\n{"a":NaN}\n[1]\n{"a":2}\n',
    columns: ['a BIGINT'],
    data: [['1'], ['2']],
    rejected: [
      { line: 2, reason: 'is not valid JSON', text: 'not json' },
      { line: 3, reason: 'is not valid JSON', text: '{"a":NaN}' },
      { line: 4, reason: 'is no JSON object', text: '[1]' },
    ],
  },
  {
    name: 'values of several kinds are text',
    content: '{"a":1}\n{"a":"x"}\n',
    columns: ['a VARCHAR'],
    data: [['1'], ['"x"']],
  },
  {
    name: 'dates and times',
    content: '{"d":"2026-01-31","t":"2026-01-31T10:00:00"}\n',
    columns: ['d DATE', 't TIMESTAMP'],
    data: [['2026-01-31', '2026-01-31 10:00:00']],
  },
  {
    name: 'types that are said',
    content: '{"zip":"01234","n":1}\n',
    options: { types: { n: 'DOUBLE' } },
    columns: ['zip VARCHAR', 'n DOUBLE'],
    data: [['01234', 1]],
  },
  {
    name: 'CRLF and a BOM',
    content: '\uFEFF{"a":1}\r\n{"a":2}\r\n',
    columns: ['a BIGINT'],
    data: [['1'], ['2']],
  },
]

describe('NDJSON', () => {
  test.each(ndjson.map((each) => [each.name, each] as const))('%s', async (_, each) => {
    const result = await converted('ndjson', each.content, each.options)
    expect(typesOf(result)).toEqual(each.columns)
    expect(result.data).toEqual(each.data)
    expect(result.rejected).toEqual(each.rejected ?? [])
  })
})

const json: [name: string, content: string, columns: string[], data: unknown[][]][] = [
  [
    'an array of objects',
    '[{"a":1,"b":"x"},{"a":2}]',
    ['a BIGINT', 'b VARCHAR'],
    [
      ['1', 'x'],
      ['2', null],
    ],
  ],
  [
    'columns, as R and pandas write them',
    '{"a":[1,2],"b":["x","y"]}',
    ['a BIGINT', 'b VARCHAR'],
    [
      ['1', 'x'],
      ['2', 'y'],
    ],
  ],
  [
    'one object',
    '{"a":1,"b":{"c":[1]}}',
    ['a BIGINT', 'b STRUCT("c" BIGINT[])'],
    [['1', { c: ['1'] }]],
  ],
  [
    'whole numbers that doubles do not have',
    '[{"a":9007199254740993}]',
    ['a BIGINT'],
    [['9007199254740993']],
  ],
]

describe('JSON', () => {
  test.each(json)('%s', async (_, content, columns, data) => {
    const result = await converted('json', content)
    expect(typesOf(result)).toEqual(columns)
    expect(result.data).toEqual(data)
  })
})

describe('what is compressed', () => {
  const text = 'a,b\n1,x\n2,y\n'
  const forms: [name: string, Compression, Uint8Array][] = [
    ['gzip', 'gzip', gzipSync(text)],
    ['gzip in two members', 'gzip', Buffer.concat([gzipSync('a,b\n1,x\n'), gzipSync('2,y\n')])],
    ['zstd', 'zstd', zstdCompressSync(text)],
  ]
  test.each(forms)('%s', async (_, compression, content) => {
    const { data } = await converted('csv', content, { compression })
    expect(data).toEqual([
      ['1', 'x'],
      ['2', 'y'],
    ])
  })
})

const parquet = await parquetOf("SELECT 1 AS a, 'x' AS b, [1, 2] AS c, {'d': 1.5} AS e")

async function parquetOf(sql: string): Promise<Buffer> {
  const instance = await DuckDBInstance.create()
  const connection = await instance.connect()
  const path = join(root, 'made.parquet')
  await connection.run(`COPY (${sql}) TO '${path}' (FORMAT parquet)`)
  connection.closeSync()
  instance.closeSync()
  return Buffer.from(await Bun.file(path).arrayBuffer())
}

test('Parquet keeps its types', async () => {
  const result = await converted('parquet', parquet)
  expect(typesOf(result)).toEqual([
    'a INTEGER',
    'b VARCHAR',
    'c INTEGER[]',
    'e STRUCT("d" DECIMAL(2,1))',
  ])
  expect(result.data).toEqual([[1, 'x', [1, 2], { d: '1.5' }]])
})

const bomb = gzipSync(Buffer.alloc(EXPANDED_BYTES_MAX + 1, 'a,b\n'))

const refused: [name: string, UploadFormat, string | Uint8Array, Options, says: RegExp][] = [
  ['nothing', 'csv', '', {}, /^It is empty/],
  ['blank lines', 'csv', '\n\n', {}, /no row/],
  [
    'too many rows that do not fit',
    'csv',
    `a,b\n1,2\n${'3\n'.repeat(11)}`,
    {},
    /^11 rows or more .* 10 may be left out\. The first: line 3, has 1 fields/,
  ],
  [
    'none may be left out',
    'ndjson',
    '{"a":1}\nx\n',
    { rejectedMax: 0 },
    /The first: line 2, is not valid JSON/,
  ],
  ['a zip file', 'csv', Buffer.from('504b0304ffff', 'hex'), {}, /workbook of Excel/],
  ['an RDS file', 'csv', gzipSync('X\n\0\0\0'), { compression: 'gzip' }, /RDS/],
  ['a web page', 'csv', '<!DOCTYPE html><html></html>', {}, /web page/],
  ['a PDF', 'json', '%PDF-1.7', {}, /PDF/],
  ['Parquet under another name', 'csv', parquet, {}, /format=parquet/],
  [
    'bytes that are no text',
    'csv',
    Buffer.from([0x61, 0x2c, 0x62, 0x0a, 0, 0x2c, 1]),
    {},
    /byte 5 is 0/,
  ],
  [
    'half a gzip',
    'csv',
    gzipSync('a,b\n1,2\n').subarray(0, 20),
    { compression: 'gzip' },
    /broken off/,
  ],
  ['a bomb', 'csv', bomb, { compression: 'gzip' }, /more than \d+ bytes/],
  ['half a Parquet', 'parquet', parquet.subarray(0, 200), {}, /./],
  ['text as Parquet', 'parquet', 'a,b\n1,2\n', {}, /no Parquet/],
  ['an encrypted Parquet', 'parquet', 'PAREaaaaPARE', {}, /encrypted/],
  ['broken JSON', 'json', '[{"a":1},', {}, /not valid JSON/],
  ['JSON of numbers', 'json', '[1,2]', {}, /^Item 1 of the array is no object/],
  ['a JSON text', 'json', '"x"', {}, /neither/],
  [
    'columns of different lengths',
    'json',
    '{"a":[1],"b":[1,2]}',
    {},
    /one has 1 values, another 2/,
  ],
  ['no rows', 'json', '[]', {}, /no row/],
  ['a type that values do not have', 'ndjson', '{"a":"x"}\n', { types: { a: 'INTEGER' } }, /x/],
  ['columns without end', 'csv', `${'a,'.repeat(10_000)}a\n`, {}, /10001 columns/],
]

describe('refused:', () => {
  test.each(refused)('%s', async (_, format, content, options, says) => {
    const message = await refusalOf(converted(format, content, options))
    expect(message).toMatch(says)
  })
  test('and nothing is left of it', () => {
    expect(readdirSync(join(root, 'workspaces'))).toEqual([])
    expect(existsSync(upload)).toBe(true)
  })
})
