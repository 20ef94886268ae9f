"""LightGBM boosters as ONNX models that answer exactly as LightGBM does.

Every model has one input `features` [rows, width] and one output [rows, columns], in doubles: LightGBM compares and
adds in doubles, so a float32 model sends a row that lies within a rounding of a threshold down the wrong branch, and
ONNX Runtime 1.30 is hardly slower with doubles (100 trees of 31 leaves, 32 new rows a call: 119 µs, in float32 116).

The trees are one `TreeEnsemble` node (ai.onnx.ml opset 5), which only adds up leaves. What follows the sum is spelt
out in plain nodes, since `post_transform` is the part of the tree operators that runtimes got wrong. A category
arrives as its whole-numbered code, a missing value as NaN. Linear trees and random forests are refused.
"""

import math
from dataclasses import dataclass, field

import numpy as np
from lightgbm import Booster
from onnx import ModelProto, NodeProto, TensorProto, checker, helper, numpy_helper

LESS_OR_EQUAL, EQUAL, MEMBER = 0, 4, 6  # nodes_modes of TreeEnsemble
OPSETS = [helper.make_opsetid("", 18), helper.make_opsetid("ai.onnx.ml", 5)]
IR_VERSION = 10
ZERO = float(np.float32(1e-35))  # LightGBM reads whatever lies within this of zero as zero (EQUAL: exact zeros only)

Child = tuple[int, int]  # where a branch leads: a position, and 1 if that is one among the leaves


def classifier(booster: Booster) -> ModelProto:
    """[rows, classes] probabilities; a binary model has two columns."""
    width, classes = booster.num_feature(), booster.num_model_per_iteration()
    objective, *options = booster.dump_model()["objective"].split()
    if objective == "multiclass":
        softmax = helper.make_node("Softmax", ["sum"], ["probabilities"], axis=1)
        return model([tree_ensemble([booster], "features", "sum"), softmax], width, classes)
    if objective != "binary":
        raise ValueError(f"not a classification: {objective}")
    slope = float(dict(option.split(":") for option in options)["sigmoid"])
    # 1 - sigmoid(x) is sigmoid(-x): one product gives both columns.
    nodes = [
        tree_ensemble([booster], "features", "sum"),
        helper.make_node("Mul", ["sum", "slopes"], ["scores"]),
        helper.make_node("Sigmoid", ["scores"], ["probabilities"]),
    ]
    return model(nodes, width, 2, slopes=np.array([[-slope, slope]]))


def regressor(booster: Booster) -> ModelProto:
    """[rows, 1] numbers."""
    objective = booster.dump_model()["objective"]
    if objective != "regression":
        raise ValueError(f"a transform would be missing: {objective}")
    return model([tree_ensemble([booster], "features", "value")], booster.num_feature(), 1)


def forecaster(boosters: list[Booster], offsets: np.ndarray | None = None) -> ModelProto:
    """[rows, steps] values ahead of a history, which is right-aligned and padded with NaN on the left.

    Booster k gives step k + 1 as a difference from the level, the last value that is not missing. Its features are the
    history as differences from that level. A history without any value answers NaN.

    With offsets [length + 1, bounds * steps] the bounds of intervals follow, all steps of one after the other: what is
    added to the values, by how many values of the history are known.
    """
    length, steps = boosters[0].num_feature(), len(boosters)
    nodes = [
        helper.make_node("IsNaN", ["features"], ["missing"]),
        helper.make_node("Where", ["missing", "start", "positions"], ["present"]),
        helper.make_node("ReduceMax", ["present", "across"], ["last"]),
        helper.make_node("GatherElements", ["features", "last"], ["level"], axis=1),
        helper.make_node("Sub", ["features", "level"], ["differences"]),
        tree_ensemble(boosters, "differences", "steps"),
        helper.make_node("Add", ["level", "steps"], ["values"]),
    ]
    constants = {"start": np.array(0), "positions": np.arange(length)[None], "across": np.array([1])}
    if offsets is None:
        return model(nodes, length, steps, **constants)
    bounds = offsets.shape[1] // steps
    nodes += [
        helper.make_node("Not", ["missing"], ["known"]),
        helper.make_node("Cast", ["known"], ["ones"], to=TensorProto.INT64),
        helper.make_node("ReduceSum", ["ones", "across"], ["count"], keepdims=0),
        helper.make_node("Gather", ["offsets", "count"], ["distances"], axis=0),
        helper.make_node("Concat", ["values"] * bounds, ["repeated"], axis=1),
        helper.make_node("Add", ["repeated", "distances"], ["bounds"]),
        helper.make_node("Concat", ["values", "bounds"], ["answers"], axis=1),
    ]
    return model(nodes, length, steps + offsets.shape[1], offsets=offsets, **constants)


def model(nodes: list[NodeProto], width: int, columns: int, **constants: np.ndarray) -> ModelProto:
    """The nodes as a checked model, from `features` to the last node's output."""
    graph = helper.make_graph(
        nodes,
        "lightgbm",
        [helper.make_tensor_value_info("features", TensorProto.DOUBLE, ["rows", width])],
        [helper.make_tensor_value_info(nodes[-1].output[0], TensorProto.DOUBLE, ["rows", columns])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    proto = helper.make_model(graph, opset_imports=OPSETS, ir_version=IR_VERSION, producer_name="quintet")
    checker.check_model(proto, full_check=True)
    return proto


def tree_ensemble(boosters: list[Booster], source: str, output: str) -> NodeProto:
    """All trees of all boosters as one node, a target for each booster, or for each class of the only booster."""
    ensemble = Ensemble()
    targets = 0
    for booster in boosters:
        dump = booster.dump_model()
        if dump["average_output"]:
            raise ValueError("a random forest averages its trees; this node adds them")
        for number, tree in enumerate(dump["tree_info"]):
            # LightGBM goes round the classes: one tree each, then the next iteration.
            ensemble.add(tree["tree_structure"], targets + number % dump["num_tree_per_iteration"])
        targets += dump["num_tree_per_iteration"]
    return ensemble.node(targets, source, output)


@dataclass
class Ensemble:
    """The operator's parallel lists. A child is listed before its parent, so a tree's root comes last."""

    branches: list[tuple] = field(default_factory=list)
    leaves: list[tuple[int, float]] = field(default_factory=list)
    members: list[float] = field(default_factory=list)
    roots: list[int] = field(default_factory=list)

    def add(self, tree: dict, target: int) -> None:
        position, is_leaf = root = self.subtree(tree, target)
        if is_leaf:
            # A constant tree (nothing was worth a split) still counts. The operator wants a branch: both ways lead there.
            position, _ = self.branch(0, LESS_OR_EQUAL, 0.0, root, root, missing_left=True)
        self.roots.append(position)

    def subtree(self, tree: dict, target: int) -> Child:
        if "leaf_coeff" in tree:
            raise ValueError("linear trees have no ONNX operator")
        if "leaf_value" in tree:
            self.leaves.append((target, tree["leaf_value"]))
            return len(self.leaves) - 1, 1
        left, right = (self.subtree(tree[side], target) for side in ("left_child", "right_child"))
        if tree["decision_type"] == "==":
            return self.categorical(tree, left, right)
        return self.numerical(tree, left, right, target)

    def categorical(self, tree: dict, left: Child, right: Child) -> Child:
        """The listed categories go left; all others, unknown and missing ones too, go right."""
        self.members += [*map(float, tree["threshold"].split("||")), math.nan]
        return self.branch(tree["split_feature"], MEMBER, 0.0, left, right, missing_left=False)

    def numerical(self, tree: dict, left: Child, right: Child, target: int) -> Child:
        """`x <= threshold` goes left. What NaN does depends on the missing values that training saw at this feature."""
        feature, threshold = tree["split_feature"], tree["threshold"]
        default_left, zero_left = tree["default_left"], threshold >= 0
        if abs(threshold) >= 1e300:
            threshold = math.copysign(math.inf, threshold)  # JSON knows no infinity, so the dump writes 1e300
        elif abs(threshold) <= ZERO:
            threshold = ZERO if zero_left else math.nextafter(-ZERO, -1)  # all that is read as zero stays on one side
        # Without missing values in training NaN is read as zero, wherever the default points.
        missing_left = zero_left if tree["missing_type"] == "None" else default_left
        compare = self.branch(feature, LESS_OR_EQUAL, threshold, left, right, missing_left)
        if tree["missing_type"] != "Zero" or default_left == zero_left:
            return compare
        # Zero means missing here, and leaves the side that its value points to. A child has one parent: list it again.
        default = self.subtree(tree["left_child" if default_left else "right_child"], target)
        return self.branch(feature, EQUAL, 0.0, default, compare, missing_left=True)

    def branch(self, feature: int, mode: int, split: float, left: Child, right: Child, missing_left: bool) -> Child:
        self.branches.append((feature, mode, split, int(missing_left), *left, *right))
        return len(self.branches) - 1, 0

    def node(self, targets: int, source: str, output: str) -> NodeProto:
        features, modes, splits, missing, left, left_leaf, right, right_leaf = zip(*self.branches)
        target, weights = zip(*self.leaves)
        members = {"membership_values": numpy_helper.from_array(np.array(self.members))} if self.members else {}
        return helper.make_node(
            "TreeEnsemble",
            [source],
            [output],
            domain="ai.onnx.ml",
            n_targets=targets,
            tree_roots=self.roots,
            nodes_featureids=features,
            nodes_modes=numpy_helper.from_array(np.array(modes, np.uint8)),
            nodes_splits=numpy_helper.from_array(np.array(splits)),
            nodes_missing_value_tracks_true=missing,
            nodes_truenodeids=left,
            nodes_trueleafs=left_leaf,
            nodes_falsenodeids=right,
            nodes_falseleafs=right_leaf,
            leaf_targetids=target,
            leaf_weights=numpy_helper.from_array(np.array(weights)),
            **members,
        )
