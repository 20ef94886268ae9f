import { actorOf, personOf, type RequestContext } from '../gateway/route.ts'

/** Somebody who changes what they log in with, in the session from which they do it. */
export const ownerOf = (context: RequestContext) => {
  const { id, sessionId } = personOf(context)
  return { id, sessionId, actor: actorOf(context) }
}
