import { judge } from './judge.ts'
import type { AdmissionOrder } from './verdict.ts'

/** Judges one upload, which it is told by standard input, and says by standard output what became of it. */
const order = (await Bun.stdin.json()) as AdmissionOrder
const verdict = await judge(order)
await Bun.write(Bun.stdout, JSON.stringify(verdict))
