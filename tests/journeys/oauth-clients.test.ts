import { afterAll, beforeAll, describe, expect, test } from 'bun:test'

import * as client from 'openid-client'

import { FIXTURE_MODELS_DIR } from '../support/harness.ts'
import { refusal } from '../support/refusal.ts'
import { startServer, type TestServer } from '../support/server.ts'

let server: TestServer
let url: URL
let token: string
let id: string
let secret: string

beforeAll(async () => {
  // Clients compare the issuer with the address that they ask, so it has to be known before the start.
  const probe = Bun.serve({ port: 0, hostname: '127.0.0.1', fetch: () => new Response() })
  const port = String(probe.port)
  await probe.stop(true)
  const PUBLIC_URL = `http://127.0.0.1:${port}`
  server = await startServer({ PORT: port, PUBLIC_URL, MODELS_DIR: FIXTURE_MODELS_DIR })
  url = new URL(PUBLIC_URL)
  token = await server.logIn()
  const scopes = ['predict', 'models:read', 'tokens:introspect']
  const account = await made('/api/v1/service-accounts', { name: 'reporting', scopes })
  id = account['id']!
  const key = await made(`/api/v1/service-accounts/${id}/api-keys`, { name: 'first', scopes })
  secret = key['key']!
})
afterAll(async () => {
  await server.stop()
})

async function made(path: string, body: object): Promise<Record<string, string>> {
  const response = await server.post(path, body, token)
  expect(response.status).toBe(201)
  return (await response.json()) as Record<string, string>
}
const status = async (bearer: string) => {
  const headers = { authorization: `Bearer ${bearer}` }
  return (await fetch(`${server.url}/api/v1/models`, { headers })).status
}
const insecure = { execute: [client.allowInsecureRequests] }
const discover = (secretOf: client.ClientAuth, algorithm: 'oidc' | 'oauth2' = 'oidc') =>
  client.discovery(url, id, undefined, secretOf, { ...insecure, algorithm })

describe('openid-client', () => {
  test.each([
    ['client_secret_basic, found by OpenID', client.ClientSecretBasic, 'oidc'],
    ['client_secret_post, found by RFC 8414', client.ClientSecretPost, 'oauth2'],
  ] as const)('gets, asks about and ends a token by %s', async (_, method, algorithm) => {
    const config = await discover(method(secret), algorithm)
    expect(config.serverMetadata().grant_types_supported).toEqual(['client_credentials'])
    const issued = await client.clientCredentialsGrant(config, { scope: 'models:read' })
    expect(issued).toMatchObject({ token_type: 'bearer', expires_in: 3600, scope: 'models:read' })
    expect(await status(issued.access_token)).toBe(200)
    expect(await client.tokenIntrospection(config, issued.access_token)).toMatchObject({
      active: true,
      client_id: id,
      scope: 'models:read',
    })
    await client.tokenRevocation(config, issued.access_token)
    expect(await client.tokenIntrospection(config, issued.access_token)).toEqual({ active: false })
    expect(await status(issued.access_token)).toBe(401)
  })

  test('understands why it is refused', async () => {
    const wrong = await discover(client.ClientSecretBasic('wrong:secret+ ÿ'))
    expect(await refusal(client.clientCredentialsGrant(wrong))).toMatchObject({ status: 401 })
    const wrongPost = await discover(client.ClientSecretPost('wrong'))
    expect(await refusal(client.clientCredentialsGrant(wrongPost))).toMatchObject({ status: 401 })
    const right = await discover(client.ClientSecretPost(secret))
    const beyond = client.clientCredentialsGrant(right, { scope: 'users:write' })
    expect(await refusal(beyond)).toMatchObject({ error: 'invalid_scope', status: 400 })
    const grant = client.genericGrantRequest(right, 'password', {
      username: 'admin',
      password: 'x',
    })
    expect(await refusal(grant)).toMatchObject({ error: 'unsupported_grant_type', status: 400 })
  })
})

describe('a client of another language', () => {
  /** Runs where the language is there. In CI it must be. */
  const testWith = (program: string, name: string, body: () => Promise<void>) =>
    Bun.which(program) !== null || process.env['CI'] === 'true'
      ? test(name, body)
      : test.skip(name, body)

  async function run(command: string[], input = ''): Promise<string> {
    const child = Bun.spawn(command, {
      env: { ...process.env, URL: server.url, ID: id, SECRET: secret },
      stdin: new Blob([input]),
      stdout: 'pipe',
      stderr: 'pipe',
    })
    const [output, errors, code] = await Promise.all([
      new Response(child.stdout).text(),
      new Response(child.stderr).text(),
      child.exited,
    ])
    expect({ code, errors }).toEqual({ code: 0, errors: expect.any(String) })
    return output
  }

  testWith('curl', 'curl, by a password that is a key', async () => {
    const models = await run([
      'curl',
      '-sf',
      '-u',
      `anybody:${secret}`,
      `${server.url}/api/v1/models`,
    ])
    expect(models).toContain('"models"')
  })

  testWith('curl', 'curl, by client credentials', async () => {
    const text = await run([
      'curl',
      '-sf',
      '-u',
      `${id}:${secret}`,
      '-d',
      'grant_type=client_credentials',
      `${server.url}/oauth/token`,
    ])
    const { access_token } = JSON.parse(text) as { access_token: string }
    expect(await status(access_token)).toBe(200)
  })

  const r = (auth: string) => `
    library(httr2)
    client <- oauth_client(Sys.getenv("ID"), paste0(Sys.getenv("URL"), "/oauth/token"),
      secret = Sys.getenv("SECRET"), auth = "${auth}")
    request(Sys.getenv("URL")) |> req_url_path("/api/v1/models") |>
      req_oauth_client_credentials(client, scope = "models:read") |>
      req_perform() |> resp_status() |> cat()`
  testWith('Rscript', 'R, by httr2, the secret in the header', async () =>
    expect(await run(['Rscript', '-'], r('header'))).toBe('200'),
  )
  testWith('Rscript', 'R, by httr2, the secret in the body', async () =>
    expect(await run(['Rscript', '-'], r('body'))).toBe('200'),
  )

  testWith('python3', 'Python, by requests', async () => {
    const script = `
import os, requests
url, pair = os.environ["URL"], (os.environ["ID"], os.environ["SECRET"])
token = requests.post(f"{url}/oauth/token", auth=pair, data={"grant_type": "client_credentials"})
bearer = {"Authorization": "Bearer " + token.json()["access_token"]}
print(requests.get(f"{url}/api/v1/models", headers=bearer).status_code)
print(requests.get(f"{url}/api/v1/models", auth=("", os.environ["SECRET"])).status_code)`
    expect(await run(['python3', '-'], script)).toBe('200\n200\n')
  })
})

test('what the process wrote says no secret', () => {
  const said = `${server.errors()}${JSON.stringify(server.warnings())}`
  expect(said).not.toContain(secret.slice(8))
})
