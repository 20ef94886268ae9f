import { join } from 'node:path'

/** The model that benchmarks quote: 100 trees of 31 leaves over 10 numbers. */
export const MODEL = join(import.meta.dir, 'models/trees/1')

/**
 * Rows that differ, since the same row again and again takes the same way through every tree, which
 * a processor learns; and that are the same in every run.
 */
export async function benchRows(count: number): Promise<Record<string, number>[]> {
  const { inputs } = (await Bun.file(join(MODEL, 'manifest.json')).json()) as {
    inputs: { name: string }[]
  }
  const numberOf = (cell: string) =>
    Math.round((Bun.hash.xxHash32(cell) / 2 ** 32 - 0.5) * 4e3) / 1e3
  return Array.from({ length: count }, (_, row) =>
    Object.fromEntries(inputs.map(({ name }) => [name, numberOf(`${row} ${name}`)])),
  )
}
