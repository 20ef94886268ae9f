import { type DuckDBConnection, DuckDBInstance } from '@duckdb/node-api'

import { quoted } from './sql-text.ts'

/** What a DuckDB may use up, whatever it does. */
export interface Means {
  threads: number
  memoryBytesMax: number
}

/** What one piece of work may read and write. */
export interface Workspace {
  /** Of this work alone: what it spills and what it makes is there, and nothing else. */
  directory: string
  /** Files that it may read, each by its exact path. */
  readable: readonly string[]
  /** What may lie in `directory` of what does not fit into memory. */
  spillBytesMax: number
}

const EXPRESSION_DEPTH_MAX = 100

/** What a program may set only when it makes an instance. */
const CREATED_WITH = {
  autoinstall_known_extensions: 'false',
  autoload_known_extensions: 'false',
  allow_community_extensions: 'false',
}

/** A DuckDB for one piece of work. */
export interface Instance {
  connection: DuckDBConnection
  close: () => void
}

/** Opens one that nothing is told to yet; it takes the most of what an instance costs. */
export async function openInstance({ threads, memoryBytesMax }: Means): Promise<Instance> {
  const instance = await DuckDBInstance.create(':memory:', {
    ...CREATED_WITH,
    threads: String(threads),
    memory_limit: bytes(memoryBytesMax),
  })
  const connection = await instance.connect()
  return {
    connection,
    close() {
      connection.closeSync()
      instance.closeSync()
    },
  }
}

/**
 * Confines an instance to a workspace: it reaches that and nothing else, neither other files nor the
 * network, and no statement can change that afterwards.
 *
 * The order matters: paths can be allowed only while everything is, and nothing can be set once the
 * configuration is locked.
 *
 * @see https://duckdb.org/docs/stable/operations_manual/securing_duckdb/overview
 */
export async function confine({ connection }: Instance, workspace: Workspace): Promise<void> {
  const { directory, readable, spillBytesMax } = workspace
  const settings = [
    `temp_directory = ${quoted(directory)}`,
    `max_temp_directory_size = ${quoted(bytes(spillBytesMax))}`,
    `max_expression_depth = ${EXPRESSION_DEPTH_MAX}`,
    `TimeZone = 'UTC'`,
    'allow_persistent_secrets = false',
    'enable_progress_bar = true',
    'enable_progress_bar_print = false',
    `allowed_directories = [${quoted(`${directory}/`)}]`,
    `allowed_paths = [${readable.map(quoted).join(', ')}]`,
    'enable_external_access = false',
    'lock_configuration = true',
  ]
  for (const setting of settings) await connection.run(`SET ${setting}`)
}

const bytes = (count: number) => `${Math.floor(count)}B`
