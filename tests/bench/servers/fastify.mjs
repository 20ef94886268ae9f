// The usual way in Node: Fastify, its JSON schemas, and one call of the model a request.
import { readFileSync } from 'node:fs'

import Fastify from 'fastify'
import ort from 'onnxruntime-node'

const [folder] = process.argv.slice(2)
const { name, version, classes, inputs } = JSON.parse(
  readFileSync(`${folder}/manifest.json`, 'utf8'),
)
const columns = inputs.map((input) => input.name)
const session = await ort.InferenceSession.create(`${folder}/model.onnx`, {
  intraOpNumThreads: 1,
  interOpNumThreads: 1,
})
const [output] = session.outputNames

const number = { type: ['number', 'null'] }
const body = {
  type: 'object',
  required: ['model_type', 'features'],
  properties: {
    model_type: { type: 'string', const: name },
    features: {
      type: 'array',
      minItems: 1,
      items: {
        type: 'object',
        additionalProperties: false,
        properties: Object.fromEntries(columns.map((column) => [column, number])),
      },
    },
  },
}
const answer = {
  type: 'object',
  properties: {
    predictions: { type: 'array', items: { type: 'string' } },
    probabilities: {
      type: 'array',
      items: {
        type: 'object',
        properties: Object.fromEntries(classes.map((label) => [label, { type: 'number' }])),
      },
    },
    model_version: { type: 'string' },
    timestamp: { type: 'string' },
  },
}

const app = Fastify({ logger: false })
const schema = { body, response: { 200: answer } }
app.route({ method: 'POST', url: '/api/v1/predict', schema, handler: predict })
await app.listen({ port: Number(process.env.PORT), host: '127.0.0.1' })

async function predict(request) {
  const { features } = request.body
  const values = new Float64Array(features.length * columns.length)
  let at = 0
  for (const row of features) {
    for (const column of columns) values[at++] = row[column] ?? Number.NaN
  }
  const tensor = new ort.Tensor('float64', values, [features.length, columns.length])
  const results = await session.run({ features: tensor })
  const { data } = results[output]

  const predictions = []
  const probabilities = []
  for (let row = 0; row < features.length; row++) {
    const shares = data.subarray(row * classes.length, (row + 1) * classes.length)
    predictions.push(classes[shares.indexOf(Math.max(...shares))])
    probabilities.push(Object.fromEntries(classes.map((label, index) => [label, shares[index]])))
  }
  return {
    predictions,
    probabilities,
    model_version: version,
    timestamp: new Date().toISOString(),
  }
}
