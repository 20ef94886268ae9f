import type { z } from 'zod'

import type { registrationResponse } from '../passkey-fields.ts'
import { authProblems } from '../problems.ts'
import type { PasskeyCeremonies } from './passkey-ceremonies.ts'
import type { Passkey } from './passkeys.ts'
import type { SecondFactors } from './second-factors.ts'

type Owner = Parameters<SecondFactors['addPasskey']>[0]

/** The second half of making a passkey: what a browser has made of the options. */
export interface PasskeyRegistrations {
  /**
   * @throws {Problem} 422 when it was not asked for in this session, or is not what was asked for; 409
   * when it is known, or there are too many.
   */
  register(
    owner: Owner,
    name: string,
    response: z.output<typeof registrationResponse>,
  ): Promise<Passkey>
}

export function createPasskeyRegistrations(deps: {
  ceremonies: PasskeyCeremonies
  secondFactors: Pick<SecondFactors, 'addPasskey'>
}): PasskeyRegistrations {
  const { ceremonies, secondFactors } = deps
  return {
    async register(owner, name, response) {
      const made = await ceremonies.verifyRegistration(response)
      const isMine =
        made?.challenge.accountId === owner.id &&
        (made.challenge.data as { sessionId: string }).sessionId === owner.sessionId
      if (made === undefined || !isMine) {
        throw authProblems.passkeyRefused({
          detail: 'Its challenge was used or is too old, or it was made for another server.',
        })
      }
      return secondFactors.addPasskey(owner, name, made.passkey)
    },
  }
}
