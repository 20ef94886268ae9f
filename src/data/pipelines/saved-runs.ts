import type { Ownership } from '../../gateway/access.ts'
import type { Identity } from '../../gateway/principal.ts'
import { Problem } from '../../gateway/problem.ts'
import type { Database, Writes } from '../../platform/database/database.ts'
import { TooManyJobs } from '../../platform/jobs/jobs.ts'
import type { Log } from '../../platform/log.ts'
import { dataProblems } from '../problems.ts'
import type { Parameters } from '../results/parameters.ts'
import { parametersOf } from './declared-parameters.ts'
import type { Materializer, Work } from './materializer.ts'
import type { PipelineJobs } from './pipeline-jobs.ts'
import type { PipelineRuns } from './pipeline-runs.ts'
import { PIPELINE, type Pipelines, type PipelineVersionRow } from './pipelines.ts'
import type { Trigger } from './trigger.ts'

/** Runs saved pipelines, when somebody asks and when it is time. */
export interface SavedRuns {
  /** With the rights of who asks. @returns the id of the run. @throws {Problem} */
  start(
    version: PipelineVersionRow,
    given: Record<string, string | number | boolean | null>,
    by: Identity,
  ): Promise<string>
  /** Starts what is due, with the rights of its owner. */
  startDue(): Promise<void>
}

export function createSavedRuns(deps: {
  pipelines: Pipelines
  runs: PipelineRuns
  pipelineJobs: PipelineJobs
  materializer: Materializer
  ownership: Ownership
  database: Database
  log: Log
}): SavedRuns {
  const { pipelines, runs, pipelineJobs, materializer, ownership, database, log } = deps

  async function add(
    tx: Writes,
    version: PipelineVersionRow,
    { work, trigger, by }: { work: Work; trigger: Trigger; by: string },
  ): Promise<string> {
    const id = await pipelineJobs.enqueue(tx, { work, isSaved: true }, by)
    const values = Object.entries(work.parameters).map(([name, { value }]) => [name, value])
    await runs.add(tx, {
      id,
      pipelineName: version.pipelineName,
      version: version.version,
      trigger,
      parameters: Object.fromEntries(values) as Record<string, unknown>,
      startedBy: by,
      dataset: work.output.dataset,
    })
    return id
  }

  return {
    async start(version, given, by) {
      const parameters = parametersOf(version.parameters, given, ['parameters'])
      const work = workOf(version, parameters)
      await materializer.requireRight(work, by)
      return database.write((tx) => add(tx, version, { work, trigger: 'request', by: by.id }))
    },
    startDue: () =>
      pipelines.due(async (tx, { name, newest }) => {
        const owner = (await ownership.ownersOf(PIPELINE, [name])).get(name)
        try {
          if (owner === undefined)
            throw dataProblems.unknownPipeline({ detail: 'It has no owner.' })
          const work = workOf(newest, parametersOf(newest.parameters, {}, []))
          await add(tx, newest, { work, trigger: 'schedule', by: owner.id })
        } catch (error) {
          if (!(error instanceof Problem || error instanceof TooManyJobs)) throw error
          // The next time comes; that this one went by is not to hold up the other pipelines.
          log.warn({ error, pipeline: name }, 'a pipeline that was due could not be started')
        }
      }),
  }
}

function workOf(
  { definition, output, pipelineName }: PipelineVersionRow,
  parameters: Parameters,
): Work {
  if (output !== null) return { definition, parameters, versions: {}, output }
  throw dataProblems.noOutput({ detail: `${pipelineName} says no dataset for what comes out.` })
}
