import { testKills } from '../support/killed-databases.ts'

// More of them in tests/long.
testKills({ rounds: 3, refreshesMin: 3 })
