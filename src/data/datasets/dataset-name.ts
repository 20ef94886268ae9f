import { z } from 'zod'

/** A name that SQL can say without quotes where it has no `-`, and an address and a file as it is. */
export const datasetName = z
  .string()
  .regex(
    /^[a-z][a-z0-9_-]{0,63}$/,
    'expected up to 64 lower-case letters, digits, - and _, a letter first',
  )
