/** Everything that can be allowed, and what it means. The one list; tokens, roles and routes use its names. */
export const scopes = {
  predict: 'Ask a model for predictions',
  'models:read': 'See models and their figures',
  'models:write': 'Upload models, and change those that one may write',
  'datasets:read': 'Read datasets, and query those that one may read',
  'datasets:write': 'Upload datasets, and change those that one may write',
  'pipelines:read': 'See pipelines, run those that one may read, and ask endpoints',
  'pipelines:write': 'Save pipelines, and change and publish those that one may write',
  'users:read': 'See users',
  'users:write': 'Create, import, change and remove users, and reset their passwords',
  'service-accounts:read': 'See service accounts and what their keys are called',
  'service-accounts:write':
    'Create, change and remove service accounts; for people, their API keys too',
  'tokens:introspect': 'Ask what a token is worth, at /oauth/introspect',
  'jobs:read': 'See and cancel one’s own jobs',
  'jobs:admin': 'See, cancel and replay everybody’s jobs',
  'grants:admin': 'Use everything, whoever owns it, and decide who else may',
  'audit:read': 'See who did what',
  forward: 'Be let through to applications behind forward-auth',
  'metrics:read': 'Read the metrics of the process',
} as const

export type Scope = keyof typeof scopes

/** What is wrong with a list of scopes, or nothing. */
export function scopesFault(names: readonly string[]): string | undefined {
  const unknown = names.filter((name) => !isScope(name))
  if (unknown.length === 0) return undefined
  return `expected some of ${Object.keys(scopes).join(', ')}, not ${unknown.join(', ')}`
}

export const isScope = (name: string): name is Scope => Object.hasOwn(scopes, name)

const viewer: Scope[] = [
  'predict',
  'models:read',
  'datasets:read',
  'pipelines:read',
  'jobs:read',
  'forward',
]
const editor: Scope[] = [...viewer, 'models:write', 'datasets:write', 'pipelines:write']

/** What means nothing without an identity: that everybody may does not let in who has not said who they are. */
export const ownScopes: ReadonlySet<Scope> = new Set<Scope>(['jobs:read', 'forward'])

/** What each role may do. */
export const roleScopes = {
  viewer,
  editor,
  admin: Object.keys(scopes) as Scope[],
} satisfies Record<string, Scope[]>

export type Role = keyof typeof roleScopes

/** From who may do least to who may do most. */
export const roleNames = Object.keys(roleScopes) as [Role, ...Role[]]
