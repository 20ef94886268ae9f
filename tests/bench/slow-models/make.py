#!/usr/bin/env python3
"""Makes slow/1/model.onnx: a model that takes about 30 ms a call, in a file of a few kilobytes.

It multiplies by the same matrix again and again, which is one value in the file and 4 MB in memory. Each row of it
sums to 1, so the numbers stay what they are: the answer is the sum of the inputs.

    pip install onnx==1.23.2 && tests/bench/slow-models/make.py [MULTIPLICATIONS]
"""

import sys
from pathlib import Path

import onnx
from onnx import TensorProto, helper

INPUTS = 8
WIDTH = 1024
MULTIPLICATIONS = int(sys.argv[1]) if len(sys.argv) > 1 else 200
PATH = Path(__file__).parent / "slow/1/model.onnx"


def filled(name: str, rows: int, columns: int, value: float) -> list[onnx.NodeProto]:
    """A matrix of one value, made when the model is loaded."""
    shape = helper.make_tensor(f"{name}_shape", TensorProto.INT64, [2], [rows, columns])
    one = helper.make_tensor(f"{name}_value", TensorProto.FLOAT, [1], [value])
    return [
        helper.make_node("Constant", [], [f"{name}_shape"], value=shape),
        helper.make_node("ConstantOfShape", [f"{name}_shape"], [name], value=one),
    ]


nodes = [
    *filled("first", INPUTS, WIDTH, 1),
    *filled("next", WIDTH, WIDTH, 1 / WIDTH),
    *filled("last", WIDTH, 1, 1 / WIDTH),
    helper.make_node("MatMul", ["features", "first"], ["step_0"]),
    *(
        helper.make_node("MatMul", [f"step_{at}", "next"], [f"step_{at + 1}"])
        for at in range(MULTIPLICATIONS)
    ),
    helper.make_node("MatMul", [f"step_{MULTIPLICATIONS}", "last"], ["sum"]),
]
graph = helper.make_graph(
    nodes,
    "slow",
    [helper.make_tensor_value_info("features", TensorProto.FLOAT, [None, INPUTS])],
    [helper.make_tensor_value_info("sum", TensorProto.FLOAT, [None, 1])],
)
model = helper.make_model(
    graph, producer_name="quintet", opset_imports=[helper.make_opsetid("", 17)], ir_version=9
)
onnx.checker.check_model(model, full_check=True)
PATH.parent.mkdir(parents=True, exist_ok=True)
onnx.save(model, PATH)
