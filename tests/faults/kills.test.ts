import { testKills, testModelKills } from '../support/killed-databases.ts'

// More of them in tests/long.
testKills({ rounds: 3, refreshesMin: 3 })
testModelKills({ changesMin: 60, killsMin: 5 })
