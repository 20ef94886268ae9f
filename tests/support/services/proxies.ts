import { writeFileSync } from 'node:fs'
import { join } from 'node:path'

import { type Service, startService } from './service.ts'

/** What a proxy is told, once its port is known. */
type ProxyConfiguration = (port: number) => string

export const findNginx = () => Bun.which('nginx') ?? Bun.which('/usr/sbin/nginx') ?? undefined
export const findCaddy = () => Bun.which('caddy') ?? undefined

const answers = async (url: string) =>
  fetch(url, { redirect: 'manual' }).then(
    () => true,
    () => false,
  )

/** nginx as one process that needs no rights, with the blocks that stand within `http`. */
export async function startNginx(blocks: ProxyConfiguration): Promise<Service> {
  const program = findNginx()
  if (program === undefined) throw new Error('there is no nginx on this machine')
  const folders = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
  return startService({
    name: 'nginx',
    url: (port) => `http://127.0.0.1:${port}`,
    command(directory, port) {
      const file = join(directory, 'nginx.conf')
      const temporary = folders.map((name) => `${name}_temp_path ${join(directory, name)};`)
      writeFileSync(
        file,
        `daemon off; master_process off; pid ${join(directory, 'pid')}; error_log stderr;
        events {}
        http { access_log off; ${temporary.join(' ')}
        ${blocks(port)}
        }`,
      )
      return [program, '-p', directory, '-c', file, '-e', 'stderr']
    },
    stopSignal: 'SIGTERM',
    isReady: answers,
  })
}

/** Caddy with the sites of a Caddyfile, without certificates and without an address to be told more by. */
export async function startCaddy(sites: ProxyConfiguration): Promise<Service> {
  const program = findCaddy()
  if (program === undefined) throw new Error('there is no Caddy on this machine')
  return startService({
    name: 'caddy',
    url: (port) => `http://127.0.0.1:${port}`,
    command(directory, port) {
      const file = join(directory, 'Caddyfile')
      writeFileSync(file, `{\nadmin off\nauto_https off\n}\n${sites(port)}`)
      const homes = ['DATA', 'CONFIG'].map((kind) => `XDG_${kind}_HOME=${directory}`)
      return ['env', ...homes, program, 'run', '--config', file, '--adapter', 'caddyfile']
    },
    stopSignal: 'SIGTERM',
    isReady: answers,
  })
}
