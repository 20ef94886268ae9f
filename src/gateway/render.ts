import { type Problem, problemDocument } from './problem.ts'
import type { Answer } from './route.ts'

/** Makes the response of an answer. Headers that the answer sets itself win over the gateway's. */
export function render(answer: Answer, headers: Record<string, string>): Response {
  if (answer instanceof Response) {
    for (const [name, value] of Object.entries(headers)) {
      if (!answer.headers.has(name)) answer.headers.set(name, value)
    }
    return answer
  }
  return new Response(JSON.stringify(answer.body), {
    status: answer.status ?? 200,
    headers: { ...headers, 'content-type': 'application/json', ...answer.headers },
  })
}

export function renderProblem(
  problem: Problem,
  { id, headers }: { id: string; headers: Record<string, string> },
): Response {
  return new Response(JSON.stringify(problemDocument(problem, id)), {
    status: problem.kind.status,
    headers: { ...headers, 'content-type': 'application/problem+json', ...problem.options.headers },
  })
}
