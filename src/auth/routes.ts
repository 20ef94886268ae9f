import type { Route } from '../gateway/route.ts'
import type { Config } from '../platform/config.ts'
import { accountRoutes } from './account.routes.ts'
import { apiKeyRoutes } from './api-keys.routes.ts'
import { auditRoutes } from './audit.routes.ts'
import { emailVerificationRoutes } from './email-verification.routes.ts'
import { forwardRoutes } from './forward.routes.ts'
import { grantRoutes } from './grants.routes.ts'
import { identityRoutes } from './identities.routes.ts'
import { keyRoutes } from './keys.routes.ts'
import { linkRoutes } from './links.routes.ts'
import { mailRoutes } from './mail.routes.ts'
import { meRoutes } from './me.routes.ts'
import { oauthMetadataRoutes } from './oauth-metadata.routes.ts'
import { oauthRoutes } from './oauth.routes.ts'
import type { AuthParts } from './parts.ts'
import { passkeyLoginRoutes } from './passkey-logins.routes.ts'
import { passkeyRoutes } from './passkeys.routes.ts'
import { passwordResetRoutes } from './password-reset.routes.ts'
import { secondFactorLoginRoutes } from './second-factor-logins.routes.ts'
import { secondFactorPagesRoutes } from './second-factor-pages.routes.ts'
import { secondFactorsRoutes } from './second-factors.routes.ts'
import { secondStepRoutes } from './second-step.routes.ts'
import { serviceAccountKeyRoutes } from './service-account-keys.routes.ts'
import { serviceAccountRoutes } from './service-accounts.routes.ts'
import { sessionRoutes } from './sessions.routes.ts'
import { signInRoutes } from './sign-in.routes.ts'
import { signOutRoutes } from './sign-out.routes.ts'
import { signUpPageRoutes } from './sign-up-page.routes.ts'
import { signupRoutes } from './signup.routes.ts'
import { singleSignOnRoutes } from './single-sign-on.routes.ts'
import { tokenRoutes } from './tokens.routes.ts'
import { userApiKeyRoutes } from './user-api-keys.routes.ts'
import { userImportRoutes } from './user-import.routes.ts'
import { userSecondFactorsRoutes } from './user-second-factors.routes.ts'
import { userSessionRoutes } from './user-sessions.routes.ts'
import { userRoutes } from './users.routes.ts'

/** All that auth answers to: people, programs, and what either may do. */
export const authRoutes = (parts: AuthParts, config: Config): Route[] => [
  // How people come in, and stay in.
  ...tokenRoutes(parts),
  ...sessionRoutes(parts.sessions),
  ...secondFactorLoginRoutes(parts.secondFactorLogins),
  ...passkeyLoginRoutes(parts.passkeyLogins),
  ...signupRoutes({ ...parts, isOpen: config.SIGNUP === 'open' }),
  ...passwordResetRoutes(parts.passwordResets),
  ...emailVerificationRoutes(parts.emailVerification),
  ...singleSignOnRoutes({ ...parts }),

  // Who they are.
  ...meRoutes(parts),
  ...secondFactorsRoutes(parts),
  ...passkeyRoutes(parts),
  ...identityRoutes(parts),

  // The pages of both.
  ...signInRoutes(parts),
  ...secondStepRoutes(parts),
  ...signOutRoutes(parts.entry),
  ...signUpPageRoutes({ ...parts, isOpen: config.SIGNUP === 'open' }),
  ...linkRoutes(parts),
  ...accountRoutes(parts),
  ...secondFactorPagesRoutes(parts),
  ...forwardRoutes({ returns: parts.returns, publicUrl: config.PUBLIC_URL }),

  // For administrators.
  ...userImportRoutes({ ...parts, usersMax: config.IMPORT_USERS_MAX }),
  ...userSessionRoutes(parts),
  ...userSecondFactorsRoutes(parts),
  ...userApiKeyRoutes(parts),
  ...userRoutes(parts),
  ...mailRoutes(parts.keptMail),
  ...auditRoutes(parts.audit),

  // Programs.
  ...apiKeyRoutes(parts),
  ...serviceAccountRoutes(parts.serviceAccounts),
  ...serviceAccountKeyRoutes(parts),
  ...oauthRoutes(parts),
  ...oauthMetadataRoutes(config.PUBLIC_URL),
  ...keyRoutes(parts.keys),

  // Who may do what to what.
  ...grantRoutes(parts),
]
