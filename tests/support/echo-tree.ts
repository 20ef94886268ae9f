/** Rows that an echoing tree tells apart: whole numbers from 0. */
export const ECHO_ROWS = 64
/** A tree of one leaf is a step, as the server counts them. */
const LEAF_OF_NOTHING = ['num_leaves=1', 'num_cat=0', 'leaf_value=0']

/**
 * A model in LightGBM's text that says which row it was given and which model it is: for `x` it answers
 * `base + x`.
 *
 * @param further trees that add nothing, so that a row takes longer.
 */
export function echoTree(base: number, further = 0): string {
  const trees = [echoing(base), ...Array.from({ length: further }, () => LEAF_OF_NOTHING)]
  return [
    'tree',
    'version=v4',
    'num_class=1',
    'num_tree_per_iteration=1',
    'label_index=0',
    'max_feature_idx=0',
    'objective=regression',
    'feature_names=x',
    `feature_infos=[0:${ECHO_ROWS}]`,
    '',
    ...trees.flatMap((lines, at) => [`Tree=${at}`, ...lines, '']),
    'end of trees',
    '',
  ].join('\n')
}

/** Each split lets one row go to its leaf, and the others to the next split. */
function echoing(base: number): string[] {
  const splits = ECHO_ROWS - 1
  const list = (value: (at: number) => number, length = splits) =>
    Array.from({ length }, (_, at) => value(at)).join(' ')
  return [
    `num_leaves=${ECHO_ROWS}`,
    'num_cat=0',
    `split_feature=${list(() => 0)}`,
    `split_gain=${list(() => 1)}`,
    `threshold=${list((at) => at + 0.5)}`,
    `decision_type=${list(() => 2)}`,
    `left_child=${list((at) => ~at)}`,
    `right_child=${list((at) => (at + 1 < splits ? at + 1 : ~splits))}`,
    `leaf_value=${list((at) => base + at, ECHO_ROWS)}`,
    `leaf_count=${list(() => 1, ECHO_ROWS)}`,
    `internal_count=${list((at) => ECHO_ROWS - at)}`,
  ]
}
