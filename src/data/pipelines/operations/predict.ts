import { z } from 'zod'

import { type PlannedColumn, sourcesOf, withName } from '../column-lineage.ts'
import { columnName } from '../fields.ts'
import { defineOperation } from '../operation.ts'

/** What a served model says of each row, in columns behind its own. */
export const predict = defineOperation({
  schema: z.strictObject({
    type: z.literal('predict'),
    model: z.string().min(1).max(200),
    /** Whichever traffic leads to, unless it is said. */
    version: z.string().max(20).optional(),
    /** Of inputs of the model that are columns of another name. */
    inputs: z.record(columnName, columnName).default({}),
    /** Before the names of the columns that are added. */
    prefix: z.string().max(50).default(''),
  }),
  async plan(
    { model: name, version, inputs: renamed, prefix },
    { columns, column, refuse, ...planning },
  ) {
    const model = { name, version }
    const described = await planning.model(model)
    const stray = Object.keys(renamed).find((name) => !described.inputs.includes(name))
    if (stray !== undefined) {
      refuse(
        `The model has no input ${stray.slice(0, 64)}. It has: ${described.inputs.join(', ')}.`,
        'inputs',
      )
    }
    const inputs = described.inputs.map((input) => {
      const other = renamed[input]
      if (other !== undefined) return { input, column: column(other, 'inputs', input).name }
      const same = withName(columns, input)
      if (same !== undefined) return { input, column: same.name }
      return refuse(`The model needs a column ${input}. Say in inputs which it is.`)
    })
    const sources = sourcesOf(inputs.map((each) => withName(columns, each.column)!))
    const outputs = described.outputs.map((output) => ({
      ...output,
      name: `${prefix}${output.name}`,
    }))
    const taken = outputs.find(({ name }) => withName(columns, name) !== undefined)
    if (taken !== undefined) {
      refuse(
        `There is a column ${taken.name} already: say a prefix for what the model says.`,
        'prefix',
      )
    }
    const added: PlannedColumn[] = outputs.map(({ name }) => ({ name, sources }))
    return { scoring: { model, inputs, outputs }, columns: [...columns, ...added] }
  },
})
