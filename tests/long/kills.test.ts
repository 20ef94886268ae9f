import { testKills } from '../support/killed-databases.ts'

testKills(50)
