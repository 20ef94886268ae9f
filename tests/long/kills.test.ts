import { testKills } from '../support/killed-databases.ts'

testKills({ rounds: 50, refreshesMin: 500 })
