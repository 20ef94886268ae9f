#!/usr/bin/env bun
/**
 * Runs `bun test` with the arguments that it is given, two files at a time: most of them wait more than they
 * work. Where a few files fail, these run once more, alone:
 * tests that wait for processes, sockets and timers may fail for the load that other tests leave behind.
 * A test that fails twice is broken; one that fails once is named at the end, to be mended.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** More than these fail for a reason of their own. */
const AGAIN_FILES_MAX = 3
/** Both keep the modules that they have loaded, which would take a second a file. */
const SIDE_BY_SIDE = ['--parallel=2', '--no-isolate']
const FAILED_CASE = /<testcase [^>]*file="([^"]+)"[^>]*>\s*<failure/g

const [first, again] = [process.argv.slice(2), options(process.argv.slice(2))]
const directory = mkdtempSync(join(tmpdir(), 'tests-'))
const report = join(directory, 'report.xml')
let exitCode = await run([...SIDE_BY_SIDE, ...first])
if (exitCode === 1) {
  const failed = await failedFiles()
  if (failed.length > 0 && failed.length <= AGAIN_FILES_MAX) {
    process.stdout.write(`\nOnce more, alone: ${failed.join(', ')}\n`)
    exitCode = await run([...again, ...failed.map((file) => `./${file}`)])
    if (exitCode === 0) process.stdout.write(`\nUnsteady, they failed once: ${failed.join(', ')}\n`)
  }
}
rmSync(directory, { recursive: true })
process.exit(exitCode)

function run(args: readonly string[]): Promise<number> {
  const reporter = ['--reporter=junit', `--reporter-outfile=${report}`]
  const command = [process.execPath, 'test', ...reporter, ...args]
  return Bun.spawn(command, { stdio: ['ignore', 'inherit', 'inherit'] }).exited
}

async function failedFiles(): Promise<string[]> {
  const file = Bun.file(report)
  const text = (await file.exists()) ? await file.text() : ''
  return [...new Set([...text.matchAll(FAILED_CASE)].map(([, name]) => name!))]
}

/** The arguments that are no files, each with its value. */
function options(args: readonly string[]): string[] {
  return args.filter((arg, at) => arg.startsWith('--') || args[at - 1]?.startsWith('--'))
}
