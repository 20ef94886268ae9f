import {
  type DuckDBConnection,
  DuckDBInstance,
  type DuckDBPreparedStatement,
} from '@duckdb/node-api'
import { LRUCache } from 'lru-cache'

import { RefusedText } from './refused-text.ts'
import { type ParameterTypes, withTypes } from './typed-parameters.ts'

/** A node of what DuckDB's parser makes of a text. */
export interface Node {
  [key: string]: unknown
}

/** A statement that has been parsed. */
interface Parsed {
  /** To look at. Large numbers in it are not exact. */
  statement: Node
  /** The same as JSON, to write as SQL again. */
  serialized: string
}

/** DuckDB's own parser, so that what is admitted is what DuckDB reads. */
export interface Parser {
  /**
   * @param isOfText whether a position that DuckDB names is in what the caller wrote.
   * @throws {RefusedText} for what is no single SELECT; the position is that in `sql`, from 0.
   */
  parse(sql: string): Promise<Parsed>
  /** The SQL of a statement, as DuckDB itself writes it: nothing of it is the caller's text. */
  write(parsed: Parsed, parameters: ParameterTypes): Promise<string>
  close(): Promise<void>
}

const CACHED_CHARACTERS_MAX = 4_000_000

/** Holds a DuckDB without any data, opened by the first question, that parses and does nothing else. */
export function createParser(): Parser {
  let opened: Promise<Opened> | undefined
  const cache = new LRUCache<string, Parsed>({
    maxSize: CACHED_CHARACTERS_MAX,
    sizeCalculation: ({ serialized }, sql) => sql.length + serialized.length,
  })
  /** One statement is one at a time. */
  let turn: Promise<unknown> = Promise.resolve()

  function ask(which: 'serialize' | 'deserialize', text: string): Promise<string> {
    const answer = turn.then(async () => {
      const statement = (await (opened ??= open()))[which]
      statement.bind([text])
      const [row] = (await statement.runAndReadAll()).getRows()
      return String(row![0])
    })
    turn = answer.catch(() => {})
    return answer
  }

  const parser: Parser = {
    async parse(sql) {
      const known = cache.get(sql)
      if (known !== undefined) return known
      const serialized = await ask('serialize', sql)
      const parsed = { statement: statementOf(serialized), serialized }
      cache.set(sql, parsed)
      return parsed
    },
    async write({ serialized }, parameters) {
      const typed = await withTypes(parser, serialized, parameters)
      // The place of a node that has none is too large a number for JSON, and is refused on the way back.
      return ask(
        'deserialize',
        typed.replaceAll(/"query_location":\d+(?:e\+\d+)?/g, '"query_location":0'),
      )
    },
    async close() {
      const { connection, instance } = (await opened) ?? {}
      connection?.closeSync()
      instance?.closeSync()
    },
  }
  return parser
}

interface Opened {
  instance: DuckDBInstance
  connection: DuckDBConnection
  serialize: DuckDBPreparedStatement
  deserialize: DuckDBPreparedStatement
}

async function open(): Promise<Opened> {
  const instance = await DuckDBInstance.create(':memory:', {
    threads: '1',
    memory_limit: '256MB',
    autoinstall_known_extensions: 'false',
    autoload_known_extensions: 'false',
    allow_community_extensions: 'false',
  })
  const connection = await instance.connect()
  await connection.run('SET enable_external_access = false')
  await connection.run('SET lock_configuration = true')
  return {
    instance,
    connection,
    serialize: await connection.prepare('SELECT json_serialize_sql($1::VARCHAR)'),
    deserialize: await connection.prepare('SELECT json_deserialize_sql($1::JSON)'),
  }
}

interface Answer {
  error: boolean
  error_message?: string
  position?: string
  statements?: Node[]
}

function statementOf(serialized: string): Node {
  let answer: Answer
  try {
    answer = JSON.parse(serialized) as Answer
  } catch {
    // DuckDB writes what is beyond a double as Infinity.
    throw new RefusedText('A number in it is too large.')
  }
  if (answer.error) throw refusal(answer)
  const [statement, second] = answer.statements ?? []
  if (statement === undefined) throw new RefusedText('It is empty.')
  if (second !== undefined) throw new RefusedText('There is more than one statement in it.')
  return statement
}

function refusal({ error_message: message = '', position }: Answer): RefusedText {
  if (message.startsWith('Only SELECT')) {
    return new RefusedText('It is no single SELECT: nothing else is run.')
  }
  return new RefusedText(message, position === undefined ? undefined : Number(position))
}
