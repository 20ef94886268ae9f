import { afterAll, beforeAll, expect } from 'bun:test'

import { type Harness, MODELS_DIR, openHarness } from '../support/harness.ts'
import { testRequests } from '../support/request-table.ts'

let harness: Harness
beforeAll(async () => {
  harness = await openHarness({ MODELS_DIR })
})
afterAll(() => harness.close())

const inputs = [
  { name: 'bill_length_mm', type: 'number' },
  { name: 'bill_depth_mm', type: 'number' },
  { name: 'flipper_length_mm', type: 'number' },
  { name: 'body_mass_g', type: 'number' },
  { name: 'island', type: 'category', categories: ['Biscoe', 'Dream', 'Torgersen'] },
  { name: 'sex', type: 'category', categories: ['female', 'male'] },
]

testRequests(
  () => harness,
  [
    { name: 'the list, to a stranger', path: '/api/v1/models', status: 401 },
    { name: 'a model, to a stranger', path: '/api/v1/models/regression', status: 401 },
    {
      name: 'the list',
      as: 'admin',
      path: '/api/v1/models',
      status: 200,
      has: {
        models: [
          {
            name: 'classification',
            kind: 'classification',
            version: '1',
            classes: ['Adelie', 'Chinstrap', 'Gentoo'],
          },
          {
            name: 'forecast',
            kind: 'forecast',
            horizon: { default: 12, max: 24 },
            frequency: 'month',
            intervals: [0.8, 0.95],
          },
          { name: 'regression', kind: 'regression', metrics: { r2: expect.any(Number) } },
        ],
      },
      mustNotContain: ['model.onnx', '"file"'],
    },
    {
      name: 'a model',
      as: 'admin',
      path: '/api/v1/models/classification',
      status: 200,
      has: {
        name: 'classification',
        title: 'Penguin species',
        training_data: { licence: expect.any(String) },
        inputs,
      },
    },
    {
      name: 'an unknown model',
      as: 'admin',
      path: '/api/v1/models/nope',
      status: 404,
      has: { title: 'Unknown model' },
    },
    {
      name: 'a path in the name',
      as: 'admin',
      path: '/api/v1/models/..%2F..%2Fpackage.json',
      status: 404,
    },
    { name: 'a broken escape', as: 'admin', path: '/api/v1/models/%E0%A4%A', status: 404 },
  ],
)
