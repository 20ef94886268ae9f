export const canAptInstall = () => process.getuid?.() === 0 && Bun.which('apt-get') !== null

/** Debian starts what it installs; the tests start their own, so it is told not to. */
export async function aptInstall(name: string): Promise<void> {
  if (!canAptInstall()) return
  const quietly = ['-y', '-qq', '--no-install-recommends']
  for (const command of [
    ['update', '-qq'],
    ['install', ...quietly, name],
  ]) {
    await Bun.spawn(['apt-get', ...command], {
      env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive', RUNLEVEL: '1' },
      stdout: 'ignore',
      stderr: 'inherit',
    }).exited
  }
}
