import { z } from 'zod'

import type { SessionView } from './sessions/sessions.ts'

/** What answers say of sessions. */
export const session = z.object({
  id: z.string(),
  created_at: z.iso.datetime(),
  used_at: z.iso
    .datetime()
    .nullable()
    .meta({ description: 'When it was refreshed last, or used by cookie, to the minute' }),
  expires_at: z.iso.datetime().meta({ description: 'However often it is refreshed' }),
  device: z.string().nullable().meta({ description: 'What the client calls itself' }),
  address: z.string().nullable(),
})

export const sessionExample = {
  id: '0198c5a2-7d31-7c9e-9f1b-2f6a1f0c8e11',
  created_at: '2026-01-02T03:04:05.678Z',
  used_at: '2026-01-02T03:19:05.678Z',
  expires_at: '2026-02-01T03:04:05.678Z',
  device: 'httr2/1.1.0 r-curl/6.0.1 libcurl/8.5.0',
  address: '203.0.113.7',
}

export const sessionDocument = (view: SessionView) => ({
  id: view.id,
  created_at: view.createdAt,
  used_at: view.usedAt,
  expires_at: view.expiresAt,
  device: view.device,
  address: view.address,
})
