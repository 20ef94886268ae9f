import { z } from 'zod'

import { scalar } from '../gateway/scalar.ts'
import { roleScopes } from '../gateway/scopes.ts'
import { emailFault, usernameFault } from './names.ts'
import { passwordFault } from './password-rules.ts'

/** Text by a rule that says what is wrong with it. */
const ruled = (faultOf: (text: string) => string | undefined) =>
  z.string().superRefine((text, context) => {
    const message = faultOf(text)
    if (message !== undefined) context.addIssue({ code: 'custom', message })
  })

/** What requests and answers say of users. */
export const username = scalar(ruled(usernameFault)).meta({
  description: 'Unique, whatever the case',
})
export const email = scalar(ruled(emailFault).nullish())
export const password = scalar(ruled(passwordFault)).meta({
  description: '8 to 128 characters of any kind, none of the most common passwords',
})
export const roleName = z.enum(Object.keys(roleScopes) as (keyof typeof roleScopes)[])
