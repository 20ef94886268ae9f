import type { DuckDBConnection } from '@duckdb/node-api'

import { convert, type Converted, type ConvertOrder } from '../conversion/conversion.ts'
import { describe, type Described, type DescribeOrder } from '../conversion/describe.ts'
import { overview, type OverviewOrder } from '../results/overview.ts'
import { type QueryOrder, type QueryResult, query } from '../results/query.ts'
import type { Workspace } from './instance.ts'

/** What a query process can do: each by an order, with an instance of its own. */
export interface Tasks {
  convert: { order: ConvertOrder; result: Converted }
  describe: { order: DescribeOrder; result: Described }
  overview: { order: OverviewOrder; result: QueryResult }
  query: { order: QueryOrder; result: QueryResult }
}

export type Order<Name extends keyof Tasks> = Tasks[Name]['order'] & { workspace: Workspace }
export type Result<Name extends keyof Tasks> = Tasks[Name]['result']

export const tasks: {
  [Name in keyof Tasks]: (connection: DuckDBConnection, order: Order<Name>) => Promise<Result<Name>>
} = { convert, describe, overview, query }
