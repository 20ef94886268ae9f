// The least that answers: what Bun itself costs.
import { listen } from './listen.ts'

listen(() => Response.json({ ok: true }))
