import { testKills } from '../support/killed-databases.ts'

// More of them in tests/long.
testKills(3)
