import { describe, expect, test } from 'bun:test'
import { join } from 'node:path'

import { UnreadableModel } from '../unreadable-model.ts'
import { readLightgbm } from './lightgbm-text.ts'
import { sumLeaves } from './tree-ensemble.ts'

const FIXTURES = join(import.meta.dir, '../../../tests/fixtures/trees')
const binary = await Bun.file(join(FIXTURES, 'lightgbm-binary/model.txt')).text()

/** A file of one tree, as LightGBM writes it. */
function fileOf(tree: string[], header: Record<string, string> = {}): string {
  const fields = {
    version: 'v4',
    num_class: '1',
    num_tree_per_iteration: '1',
    max_feature_idx: '1',
    objective: 'regression',
    feature_names: 'a b',
    feature_infos: '[0:1] [0:1]',
    ...header,
  }
  const lines = Object.entries(fields).map(([name, value]) => `${name}=${value}`)
  return ['tree', ...lines, '', 'Tree=0', ...tree, '', 'end of trees', ''].join('\n')
}

interface Split {
  threshold: string
  decision: number
  feature?: number
}

const stump = ({ threshold, decision, feature = 0 }: Split) => [
  'num_leaves=2',
  'num_cat=0',
  `split_feature=${feature}`,
  `threshold=${threshold}`,
  `decision_type=${decision}`,
  'left_child=-1',
  'right_child=-2',
  'leaf_value=1 2',
  'leaf_count=10 10',
  'internal_count=20',
]

const LEFT = 1
const RIGHT = 2

function answer(split: Split, value: number): number {
  const { ensemble } = readLightgbm(fileOf(stump(split)))
  return sumLeaves(ensemble, 1, Float64Array.of(value, 0))[0]!
}

/** Bits of `decision_type`. */
const DEFAULT_LEFT = 2
const ZERO = 1 << 2
const NAN = 2 << 2

describe('a split', () => {
  test.each<[name: string, split: Split, value: number, side: number]>([
    ['takes what equals its threshold to the left', { threshold: '0.5', decision: 0 }, 0.5, LEFT],
    [
      'takes the next number after it to the right',
      { threshold: '0.5', decision: 0 },
      0.5000000000000001,
      RIGHT,
    ],
    ['takes all numbers left of inf', { threshold: 'inf', decision: NAN }, 1e300, LEFT],
    ['takes what is missing right of inf', { threshold: 'inf', decision: NAN }, Number.NaN, RIGHT],
    [
      'takes all left of inf where what is missing goes left',
      { threshold: 'inf', decision: NAN | DEFAULT_LEFT },
      Number.NaN,
      LEFT,
    ],
    [
      'takes infinity left of inf where what is missing goes left',
      { threshold: 'inf', decision: NAN | DEFAULT_LEFT },
      Number.POSITIVE_INFINITY,
      LEFT,
    ],
    ['takes none left of -inf', { threshold: '-inf', decision: NAN }, -1e300, RIGHT],
    ['reads what is missing as zero', { threshold: '0.5', decision: 0 }, Number.NaN, LEFT],
    [
      'reads it as zero whatever the default says',
      { threshold: '-0.5', decision: DEFAULT_LEFT },
      Number.NaN,
      RIGHT,
    ],
    ['takes zero for missing', { threshold: '0.5', decision: ZERO }, 0, RIGHT],
    ['takes -0 for missing', { threshold: '0.5', decision: ZERO }, -0, RIGHT],
    ['takes 1e-36 for missing', { threshold: '0.5', decision: ZERO }, 1e-36, RIGHT],
    ['takes 1e-34 for a number', { threshold: '0.5', decision: ZERO }, 1e-34, LEFT],
    [
      'takes NaN for missing where zero is',
      { threshold: '-0.5', decision: ZERO | DEFAULT_LEFT },
      Number.NaN,
      LEFT,
    ],
  ])('%s', (_, split, value, side) => {
    expect(answer(split, value)).toBe(side)
  })
})

describe('refused with the reason', () => {
  test.each<[name: string, text: string, reason: RegExp]>([
    ['a file that breaks off', binary.slice(0, binary.length / 2), /breaks off/],
    ['one without a tree', 'tree\nversion=v4\nend of trees\n', /breaks off/],
    [
      'linear leaves',
      fileOf([...stump({ threshold: '0', decision: 0 }), 'is_linear=1']),
      /linear_tree/,
    ],
    [
      'an unknown objective',
      fileOf(stump({ threshold: '0', decision: 0 }), { objective: 'alchemy' }),
      /"alchemy"/,
    ],
    [
      'a feature that is none',
      fileOf(stump({ threshold: '0', decision: 0, feature: 7 })),
      /feature 7 of 2/,
    ],
    [
      'a threshold that is no number',
      fileOf(stump({ threshold: 'x', decision: 0 })),
      /"x" is no number/,
    ],
    [
      'a list that is too short',
      fileOf(stump({ threshold: '', decision: 0 })),
      /0 of "threshold", not 1/,
    ],
    [
      'a set of categories that is none',
      fileOf(stump({ threshold: '0', decision: 1 })),
      /no set of categories/,
    ],
    [
      'names that are too few',
      fileOf(stump({ threshold: '0', decision: 0 }), { feature_names: 'a' }),
      /1 feature names for 2/,
    ],
    [
      'more classes than trees',
      fileOf(stump({ threshold: '0', decision: 0 }), { num_tree_per_iteration: '3' }),
      /1 trees are no multiple of 3/,
    ],
    [
      'categories of pandas that are no JSON',
      `${fileOf(stump({ threshold: '0', decision: 0 }))}\npandas_categorical:[[`,
      /no JSON/,
    ],
    [
      'a tree that turns back on itself',
      fileOf([
        'num_leaves=3',
        'num_cat=0',
        'split_feature=0 0',
        'threshold=0 0',
        'decision_type=0 0',
        'left_child=1 0',
        'right_child=-1 -2',
        'leaf_value=1 2 3',
        'leaf_count=1 1 1',
        'internal_count=3 2',
      ]),
      /which another leads to/,
    ],
    ['a tree deeper than any that grew', fileOf(chain(5000)), /deeper than 1000/],
  ])('%s', (_, text, reason) => {
    expect(() => readLightgbm(text)).toThrow(UnreadableModel)
    expect(() => readLightgbm(text)).toThrow(reason)
  })

  test('a file that is cut anywhere before the end of its trees', () => {
    for (let at = 0; at < binary.indexOf('end of trees'); at += 97) {
      const cut = binary.slice(0, at)
      expect(() => readLightgbm(cut)).toThrow(UnreadableModel)
    }
  })
})

/** Splits that each lead to the next. */
function chain(splits: number): string[] {
  const each = (of: (at: number) => number | string, length = splits) =>
    Array.from({ length }, (_, at) => of(at)).join(' ')
  return [
    `num_leaves=${splits + 1}`,
    'num_cat=0',
    `split_feature=${each(() => 0)}`,
    `threshold=${each((at) => at)}`,
    `decision_type=${each(() => 0)}`,
    `left_child=${each((at) => -1 - at)}`,
    `right_child=${each((at) => (at === splits - 1 ? -1 - splits : at + 1))}`,
    `leaf_value=${each((at) => at, splits + 1)}`,
    `leaf_count=${each(() => 1, splits + 1)}`,
    `internal_count=${each((at) => splits + 1 - at)}`,
  ]
}
