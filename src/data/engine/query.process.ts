import { confine, type Instance, type Means, openInstance } from './instance.ts'
import type { Failure, FromProcess, ToProcess } from './messages.ts'
import { Refused } from './refused.ts'
import { type Order, type Tasks, tasks } from './tasks.ts'

/** A process that does one piece of work at a time, as it is told, until it is ended. */

const PROGRESS_INTERVAL_MS = 200
const INTERRUPT_INTERVAL_MS = 10

const say = (message: FromProcess) => process.send!(message)
const means = JSON.parse(process.argv[2]!) as Means
/** Opened while nobody waits for it. */
let next: Promise<Instance> = openInstance(means)
let interrupt: (() => void) | undefined

/** Says what came of it when nothing is left of it: what the process keeps is looked at then. */
async function run(name: keyof Tasks, order: Order<keyof Tasks>): Promise<void> {
  say(await outcomeOf(name, order))
  next = openInstance(means)
  // Whoever takes it hears of it.
  next.catch(() => {})
}

async function outcomeOf(name: keyof Tasks, order: Order<keyof Tasks>): Promise<FromProcess> {
  let isInterrupted = false
  try {
    const instance = await next
    const { connection, close } = instance
    let interrupts: Timer | undefined
    // Again and again: one that comes between two statements ends neither.
    interrupt = () => {
      isInterrupted = true
      connection.interrupt()
      interrupts ??= setInterval(() => connection.interrupt(), INTERRUPT_INTERVAL_MS)
    }
    const timer = setInterval(() => {
      const { percentage } = connection.progress
      if (percentage >= 0) say({ kind: 'progress', share: percentage / 100 })
    }, PROGRESS_INTERVAL_MS)
    try {
      await confine(instance, order.workspace)
      return { kind: 'done', result: await tasks[name](connection, order as never) }
    } finally {
      clearInterval(timer)
      clearInterval(interrupts)
      interrupt = undefined
      close()
    }
  } catch (error) {
    const detail = error instanceof Error ? error.message : String(error)
    return { kind: 'failed', failure: isInterrupted ? 'interrupted' : failureOf(error), detail }
  }
}

const OF_MEMORY = /^(Out of Memory|.*could not allocate|.*failed to allocate)/i
const OF_CALLER =
  /^(Binder|Parser|Catalog|Conversion|Invalid Input|Out of Range|Constraint|Not implemented|Syntax|Permission|IO|Invalid|Mismatch Type|Expression Depth|HTTP|Missing Extension|Dependency) Error/i

/** DuckDB tells kinds of errors apart by how their messages begin. */
function failureOf(error: unknown): Failure {
  if (error instanceof Refused) return 'refused'
  if (error instanceof RangeError) return 'memory'
  const message = error instanceof Error ? error.message : ''
  if (OF_MEMORY.test(message)) return 'memory'
  return OF_CALLER.test(message) ? 'refused' : 'bug'
}

process.on('message', (message: ToProcess) => {
  if (message.kind === 'interrupt') interrupt?.()
  else void run(message.task, message.order as Order<keyof Tasks>)
})
// Whoever asked is gone. A query that runs would hold up an exit.
process.on('disconnect', () => process.kill(process.pid, 'SIGKILL'))
await next
say({ kind: 'ready' })
