import type { Registry } from 'prom-client'

import { type Route, route } from '../gateway/route.ts'

export function metricsRoutes(metrics: Registry): Route[] {
  return [
    route(
      {
        method: 'get',
        path: '/metrics',
        access: 'metrics:read',
        isOpenToLoopback: true,
        rate: 'none',
        tag: 'system',
        summary: 'Metrics for Prometheus',
        description:
          'For an administrator, a scraper with METRICS_TOKEN, or a scraper on the same machine.',
        answers: {
          200: {
            description: 'The text format of Prometheus',
            mediaType: 'text/plain',
            example: 'http_requests_total{method="GET",endpoint="/health",status="200"} 42\n',
          },
        },
      },
      async () =>
        new Response(await metrics.metrics(), { headers: { 'content-type': metrics.contentType } }),
    ),
  ]
}
