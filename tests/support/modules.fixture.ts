// Opens and closes the platform with the settings of the environment, and names the packages of
// OpenTelemetry that were loaded for it.
import { parseConfig } from '../../src/platform/config.ts'
import { openLog } from '../../src/platform/log.ts'
import { openPlatform } from '../../src/platform/platform.ts'

// oxlint-disable-next-line no-process-env
const config = parseConfig(process.env)
const platform = await openPlatform(config, openLog({ LOG_LEVEL: 'silent' }, { write() {} }).log)
await platform.close()
const packages = Object.keys(require.cache).flatMap(
  (path) => /@opentelemetry\/([^/]+)/.exec(path)?.[1] ?? [],
)
process.stdout.write(JSON.stringify([...new Set(packages)]))
