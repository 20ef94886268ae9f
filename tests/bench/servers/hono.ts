// Hono by itself. The further routes are there because a router with one route has nothing to do.
import { Hono } from 'hono'

import { listen } from './listen.ts'

const app = new Hono()
for (const name of ['users', 'models', 'sessions', 'keys', 'events']) {
  app.get(`/api/v1/${name}`, (c) => c.json([]))
  app.post(`/api/v1/${name}`, (c) => c.json({}))
  app.get(`/api/v1/${name}/:id`, (c) => c.json({}))
  app.delete(`/api/v1/${name}/:id`, (c) => c.json({}))
}
app.get('/noop', (c) => c.json({ ok: true }))

listen((request) => app.fetch(request))
