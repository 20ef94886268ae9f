import { testKills, testModelKills } from '../support/killed-databases.ts'

testKills({ rounds: 50, refreshesMin: 500 })
testModelKills({ changesMin: 300, killsMin: 40 })
