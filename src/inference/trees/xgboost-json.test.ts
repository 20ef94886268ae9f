import { describe, expect, test } from 'bun:test'
import { join } from 'node:path'

import { UnreadableModel } from '../unreadable-model.ts'
import { sumLeaves } from './tree-ensemble.ts'
import { floatBelow, readXgboost } from './xgboost-json.ts'

const FIXTURES = join(import.meta.dir, '../../../tests/fixtures/trees')

interface Document {
  learner: {
    attributes: Record<string, string>
    objective: { name: string }
    feature_names: string[]
    learner_model_param: Record<string, string>
    gradient_booster: {
      name: string
      model: { trees: Record<string, unknown>[]; tree_info: number[] }
    }
  }
}
const binary = (await Bun.file(join(FIXTURES, 'xgboost-binary/model.json')).json()) as Document

/** The document with one thing changed. */
function changed(change: (learner: Document['learner']) => void): Document {
  const copy = structuredClone(binary)
  change(copy.learner)
  return copy
}

describe('base_score', () => {
  const base = (text: string, objective = 'reg:squarederror') =>
    readXgboost(
      changed((learner) => {
        learner.objective.name = objective
        learner.learner_model_param['base_score'] = text
      }),
    ).ensemble.base[0]
  test.each<[text: string, objective: string, begins: number]>([
    ['5E-1', 'reg:squarederror', 0.5],
    ['[5E-1]', 'reg:squarederror', 0.5],
    ['0.25', 'binary:logistic', Math.fround(-Math.log(3))],
    ['[2E0]', 'count:poisson', Math.fround(Math.log(2))],
    ['2', 'reg:tweedie', Math.fround(Math.log(2))],
    ['0.25', 'binary:logitraw', 0.25],
  ])('%s of %s is where the sums begin', (text, objective, begins) => {
    expect(base(text, objective)).toBe(begins)
  })
})

describe('a threshold', () => {
  test.each([1, 0.1, -0.1, 0, -0, 1e-45, 3.4e38, -3.4e38, 2 ** -126])('%p', (threshold) => {
    const float = Math.fround(threshold)
    const below = floatBelow(threshold)
    expect(below).toBeLessThan(float)
    expect(Math.fround(below)).toBe(below)
    // Nothing lies between them.
    const middle = Math.fround(below / 2 + float / 2)
    expect([below, float === 0 ? 0 : float]).toContain(middle === 0 ? 0 : middle)
  })
})

test('the rounds after the best are left out', () => {
  const whole = readXgboost(binary).ensemble
  const best = readXgboost(
    changed((learner) => {
      learner.attributes['best_iteration'] = '3'
    }),
  ).ensemble
  expect(whole.roots.length).toBe(15)
  expect(best.roots.length).toBe(4)
  expect(sumLeaves(best, 1, new Float64Array(8))).not.toEqual(
    sumLeaves(whole, 1, new Float64Array(8)),
  )
})

describe('the names of categories', () => {
  const categories = (...names: string[]) =>
    readXgboost(
      changed((learner) => {
        // As 3.2 writes them: as many bytes as there are characters, signed.
        const text = names.join('')
        const values = Array.from(new Int8Array(Buffer.from(text)).subarray(0, text.length))
        const offsets = names.map((_, at) => names.slice(0, at + 1).join('').length)
        const enc = [{ offsets: [0, ...offsets], values }]
        Object.assign(learner.gradient_booster.model, { cats: { enc } })
      }),
    ).features[0]!.categories

  test('are those of the file', () => {
    expect(categories('pro', 'basic')).toEqual(['pro', 'basic'])
  })

  test.each([
    [['Gentoo', 'Adélie']],
    // What is cut here, "Køl" and "nOsl", looks like names.
    [['Køln', 'Oslo', '“Rome”']],
  ])('unless they may be cut: %j', (names) => {
    expect(categories(...names)).toBeUndefined()
  })
})

describe('refused with the reason', () => {
  test.each<[name: string, document: unknown, reason: RegExp]>([
    ['what is no model', { learner: {} }, /no model of XGBoost: learner\./],
    ['null', null, /no model of XGBoost/],
    ['a list', [], /no model of XGBoost/],
    [
      'an unknown objective',
      changed((learner) => {
        learner.objective.name = 'alchemy'
      }),
      /"alchemy"/,
    ],
    [
      'too few names',
      changed((learner) => {
        learner.feature_names = ['a']
      }),
      /1 feature names for 8/,
    ],
    [
      'a tree of no class',
      changed((learner) => {
        learner.gradient_booster.model.tree_info[0] = 5
      }),
      /class 5 of 1/,
    ],
    [
      'fewer classes than trees',
      changed((learner) => {
        learner.gradient_booster.model.tree_info.pop()
      }),
      /15 trees have 14/,
    ],
    [
      'lists of different lengths',
      changed((learner) => {
        learner.gradient_booster.model.trees[0]!['default_left'] = []
      }),
      /lists of 0/,
    ],
    [
      'a tree that turns back on itself',
      changed((learner) => {
        const left = learner.gradient_booster.model.trees[0]!['left_children'] as number[]
        left[1] = 0
      }),
      /which another leads to/,
    ],
    [
      'a child that is not there',
      changed((learner) => {
        const left = learner.gradient_booster.model.trees[0]!['left_children'] as number[]
        left[0] = 9999
      }),
      /which is not there/,
    ],
    [
      'a base score that is none',
      changed((learner) => {
        learner.learner_model_param['base_score'] = '[1,2,3]'
      }),
      /base_score/,
    ],
    [
      'so many features that there is no number for them',
      changed((learner) => {
        learner.learner_model_param['num_feature'] = '1e99'
      }),
      /num_feature/,
    ],
  ])('%s', (_, document, reason) => {
    expect(() => readXgboost(document)).toThrow(UnreadableModel)
    expect(() => readXgboost(document)).toThrow(reason)
  })
})
