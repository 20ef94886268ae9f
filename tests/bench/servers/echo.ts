// Reads JSON and writes it back: what a POST costs before anything is computed.
import { listen } from './listen.ts'

listen(async (request) => Response.json(await request.json()))
