/** Serves where the benchmark says. */
export function listen(fetch: (request: Request) => Response | Promise<Response>): void {
  Bun.serve({
    port: Number(process.env['PORT']),
    hostname: '127.0.0.1',
    development: false,
    fetch,
  })
}
