import { z } from '@hono/zod-openapi'

import packageJson from '../../package.json' with { type: 'json' }
import { type Route, route } from '../gateway/route.ts'
import { common } from './open-inference/routing.ts'

const EXTENSIONS = [
  'binary_tensor_data',
  'classification',
  'model_repository',
  'schedule_policy',
  'statistics',
]

/** What the server is by the Open Inference Protocol, and whether it can be asked. */
export function openInferenceServerRoutes(deps: { isReady: () => Promise<boolean> }): Route[] {
  const { isReady } = deps
  const health = { ...common, method: 'get', access: 'open', rate: 'none' } as const
  return [
    route(
      {
        ...health,
        isSelfContained: true,
        path: '/v2/health/live',
        summary: 'Is the server alive',
        answers: {
          200: {
            description: 'It is',
            schema: z.object({ live: z.literal(true) }),
            example: { live: true },
          },
        },
      },
      () => ({ body: { live: true } }),
    ),
    route(
      {
        ...health,
        path: '/v2/health/ready',
        summary: 'Can models be asked',
        answers: {
          200: {
            description: 'They can',
            schema: z.object({ ready: z.boolean() }),
            example: { ready: true },
          },
          503: {
            description: 'Not now',
            schema: z.object({ ready: z.boolean() }),
            example: { ready: false },
          },
        },
      },
      async () => {
        const ready = await isReady()
        return { status: ready ? 200 : 503, body: { ready } }
      },
    ),
    route(
      {
        ...common,
        method: 'get',
        access: 'open',
        isSelfContained: true,
        path: '/v2',
        summary: 'What the server is, and which extensions it has',
        answers: {
          200: {
            description: 'Name, version and extensions',
            schema: z.object({
              name: z.string(),
              version: z.string(),
              extensions: z.array(z.string()),
            }),
            example: { name: 'quintet', version: packageJson.version, extensions: EXTENSIONS },
          },
        },
      },
      () => ({
        body: { name: 'quintet', version: packageJson.version, extensions: EXTENSIONS },
      }),
    ),
  ]
}
