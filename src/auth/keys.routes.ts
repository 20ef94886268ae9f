import { z } from '@hono/zod-openapi'

import { type Route, route } from '../gateway/route.ts'
import { KEY_SET_MAX_AGE_SECONDS } from './keys/key-life.ts'
import type { Keys } from './keys/keys.ts'

const keySet = z.object({ keys: z.array(z.looseObject({ kty: z.string(), kid: z.string() })) })

export function keyRoutes(keys: Keys): Route[] {
  return [
    route(
      {
        method: 'get',
        path: '/.well-known/jwks.json',
        access: 'open',
        tag: 'auth',
        summary: 'Public keys of the tokens',
        description:
          'RFC 7517. With it other services verify ES256 tokens without a call. A key is here for an hour before it signs, and until the last token that it signed has died.',
        answers: {
          200: {
            description: 'The key set',
            schema: keySet,
            example: {
              keys: [
                {
                  kty: 'EC',
                  crv: 'P-256',
                  x: 'f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU',
                  y: 'x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0',
                  kid: 'NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs',
                  alg: 'ES256',
                  use: 'sig',
                },
              ],
            },
          },
        },
      },
      async () => ({
        body: await keys.publicSet(),
        headers: { 'cache-control': `public, max-age=${KEY_SET_MAX_AGE_SECONDS}` },
      }),
    ),
  ]
}
