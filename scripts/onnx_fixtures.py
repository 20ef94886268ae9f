"""Trains one small model for each way in which scikit-learn comes to ONNX, and writes what each says; and hostile files.

    python3.11 -m venv .tools/onnx
    .tools/onnx/bin/pip install -r scripts/onnx_fixtures.requirements.txt
    .tools/onnx/bin/python scripts/onnx_fixtures.py && bunx oxfmt tests

Needed only to write the fixtures anew: `tests/fixtures/onnx/` is committed. A fixture is what the converter writes and
`expected.json`: the inputs as a manifest has them, rows, and what scikit-learn itself says of those. JSON says null
for what is missing. `hostile/` has the files that must not be served; none of them has an expectation.
"""

import json
import math
import shutil
import warnings
from pathlib import Path

import lightgbm as lgb
import numpy as np
import onnx
import onnxmltools
import pandas as pd
import sklearn
import skl2onnx
from onnx import TensorProto, helper, numpy_helper
from onnxmltools.convert.common.data_types import FloatTensorType
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import GradientBoostingRegressor, RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from skl2onnx import to_onnx

warnings.filterwarnings("ignore")
OUT = Path(__file__).resolve().parent.parent / "tests" / "fixtures" / "onnx"
ROWS, COLUMNS, SHOWN = 400, 4, 40
OPSET = {"": 18, "ai.onnx.ml": 3}
OPSETS = [helper.make_opsetid(domain, version) for domain, version in OPSET.items()]
rng = np.random.default_rng(7)

# What goes through float32 anyway is compared on values that it holds exactly.
X = rng.normal(size=(ROWS, COLUMNS)).astype(np.float32).astype(float)
SUM = X[:, 0] + X[:, 1] * X[:, 2] + rng.normal(0, 0.3, ROWS)
BAND = np.digitize(SUM, [-0.6, 0.7])
WORDS = np.array(["low", "middle", "hoch é"])[BAND]


# Writing


def plain(value):
    if isinstance(value, (list, tuple, np.ndarray)):
        return [plain(each) for each in value]
    if isinstance(value, str):
        return value
    value = float(value)
    return None if math.isnan(value) else int(value) if value == int(value) else value


def number(name):
    return {"name": name, "type": "number"}


def category(name, categories):
    return {"name": name, "type": "category", "categories": categories}


def write(name, model, inputs, rows, predictions, classes=None):
    folder = OUT / name
    folder.mkdir(parents=True)
    (folder / "model.onnx").write_bytes(model.SerializeToString())
    document = {
        "library": f"scikit-learn {sklearn.__version__}, skl2onnx {skl2onnx.__version__}",
        "inputs": inputs, "rows": plain(rows), "predictions": plain(predictions),
    }
    if classes is not None:
        document["classes"] = [str(int(each) if isinstance(each, np.bool_) else each) for each in classes]
    (folder / "expected.json").write_text(json.dumps(document, ensure_ascii=False, separators=(",", ":")) + "\n")


# Models


def classifier(name, model, labels, dtype=np.float32, **options):
    model.fit(X, labels)
    file = to_onnx(model, X[:1].astype(dtype), target_opset=OPSET, options=options or None)
    inputs = [number(f"x{n}") for n in range(COLUMNS)]
    write(name, file, inputs, X[:SHOWN], model.predict_proba(X[:SHOWN]), model.classes_)


def classifiers():
    classifier("logistic-integers", LogisticRegression(), BAND * 10 - 10)
    classifier("logistic-strings", LogisticRegression(), WORDS)
    classifier("logistic-double", LogisticRegression(), WORDS, np.float64)
    classifier("logistic-binary", LogisticRegression(), BAND > 0)
    classifier("logistic-no-zipmap", LogisticRegression(), WORDS, zipmap=False)
    classifier("forest", RandomForestClassifier(5, max_depth=4, random_state=7), WORDS)
    classifier("forest-no-zipmap", RandomForestClassifier(5, max_depth=4, random_state=7), BAND, zipmap=False)
    # Its labels are a constant of the graph, and no attribute of a classifier.
    neighbours = KNeighborsClassifier(5).fit(X[:100], WORDS[:100])
    file = to_onnx(neighbours, X[:1].astype(np.float32), target_opset=OPSET, options={"zipmap": False})
    inputs = [number(f"x{n}") for n in range(COLUMNS)]
    write("neighbours-no-zipmap", file, inputs, X[:SHOWN], neighbours.predict_proba(X[:SHOWN]), neighbours.classes_)


def regression():
    model = GradientBoostingRegressor(n_estimators=10, random_state=7).fit(X, SUM * 100)
    file = to_onnx(model, X[:1].astype(np.float32), target_opset=OPSET)
    inputs = [number(f"x{n}") for n in range(COLUMNS)]
    write("regression", file, inputs, X[:SHOWN], model.predict(X[:SHOWN]).reshape(-1, 1))


def lightgbm(name, labels):
    model = lgb.LGBMClassifier(n_estimators=3, num_leaves=7, verbose=-1, n_jobs=1, random_state=7).fit(X, labels)
    file = onnxmltools.convert_lightgbm(model, initial_types=[("input", FloatTensorType([None, COLUMNS]))])
    inputs = [number(f"x{n}") for n in range(COLUMNS)]
    write(name, file, inputs, X[:SHOWN], model.predict_proba(X[:SHOWN]), model.classes_)


def pipeline():
    """Over a data frame: an input a column, of numbers, whole numbers and words, some of them missing."""
    frame = pd.DataFrame({
        "age": rng.normal(40, 12, ROWS).round(1), "sibling count": rng.integers(0, 5, ROWS),
        "port": rng.choice(["Cherbourg", "Queenstown", "Southampton"], ROWS), "fare": rng.exponential(30, ROWS).round(2),
        "sex": rng.choice(["female", "male"], ROWS),
    })
    frame.loc[::6, "age"] = np.nan
    frame.loc[::11, "port"] = ""
    survived = np.where((frame["sex"] == "female") ^ (rng.random(ROWS) < 0.2), "yes", "no")
    numeric = Pipeline([("imputed", SimpleImputer(strategy="median")), ("scaled", StandardScaler())])
    model = Pipeline([
        ("columns", ColumnTransformer([
            ("numeric", numeric, ["age", "fare"]), ("counts", StandardScaler(), ["sibling count"]),
            ("words", OneHotEncoder(handle_unknown="ignore", categories=[["Cherbourg", "Queenstown", "Southampton"], ["female", "male"]]), ["port", "sex"]),
        ])),
        ("model", LogisticRegression(max_iter=1000)),
    ]).fit(frame, survived)
    inputs = [
        number("age"), number("sibling count"), category("port", ["Southampton", "Cherbourg", "Queenstown"]),
        number("fare"), category("sex", ["male", "female"]),
    ]
    rows = [[math.nan if value == "" else value for value in row] for row in frame[:SHOWN].astype(object).values.tolist()]
    # ONNX Runtime imputes no doubles.
    small = frame.astype({"age": np.float32, "fare": np.float32})
    file = to_onnx(model, small[:1], target_opset=OPSET)
    write("pipeline", file, inputs, rows, model.predict_proba(frame[:SHOWN]), model.classes_)


def every_type():
    """One input of each type, some wider than one column, whose weighted sum is the only output; by hand."""
    kinds = [
        ("small", TensorProto.FLOAT, 2), ("large", TensorProto.DOUBLE, 1), ("count", TensorProto.INT64, 1),
        ("step", TensorProto.INT32, 1), ("flag", TensorProto.BOOL, 1), ("word", TensorProto.STRING, 1),
    ]
    weights = np.array([[1], [10], [100], [1000], [10000], [0.5], [0.25]])
    nodes = [helper.make_node("Cast", [name], [f"{name} as double"], to=TensorProto.DOUBLE) for name, kind, _ in kinds if kind != TensorProto.STRING]
    nodes += [
        helper.make_node("LabelEncoder", ["word"], ["word as float"], domain="ai.onnx.ml", keys_strings=["", "a", "é"], values_floats=[-1.0, 2.0, 4.0], default_float=-99.0),
        helper.make_node("Cast", ["word as float"], ["word as double"], to=TensorProto.DOUBLE),
        helper.make_node("Concat", [f"{name} as double" for name, _, _ in kinds], ["all"], axis=1),
        helper.make_node("MatMul", ["all", "weights"], ["sum"]),
        helper.make_node("Cast", ["sum"], ["rounded"], to=TensorProto.INT64),
        helper.make_node("Squeeze", ["sum", "one"], ["answer"]),
    ]
    graph = helper.make_graph(
        nodes, "every-type",
        [helper.make_tensor_value_info(name, kind, [None, width]) for name, kind, width in kinds],
        [helper.make_tensor_value_info("rounded", TensorProto.INT64, [None, 1]), helper.make_tensor_value_info("answer", TensorProto.DOUBLE, [None])],
        [numpy_helper.from_array(weights, "weights"), numpy_helper.from_array(np.array([1]), "one")],
    )
    codes = {None: -1, "a": 2, "é": 4}
    rows = [[float(rng.integers(-8, 8)) / 4, float(n), n + 0.1, n - 3, n * 7, n % 2, [None, "a", "é"][n % 3]] for n in range(12)]
    predictions = [[float(np.dot([*row[:6], codes[row[6]]], weights[:, 0]))] for row in rows]
    # In the order of the model, and by other names.
    inputs = [number(name) for name in ("a", "b", "c", "d", "e")] + [category("f", ["no", "yes"]), category("g", ["é", "a"])]
    rows = [[*row[:5], ["no", "yes"][row[5]], math.nan if row[6] is None else row[6]] for row in rows]
    write("every-type", checked(graph), inputs, rows, predictions)


# What must not be served


def checked(graph, opsets=OPSETS):
    model = helper.make_model(graph, opset_imports=opsets, ir_version=10, producer_name="quintet")
    onnx.checker.check_model(model)
    return model


def sum_model(nodes, initializers=(), opsets=OPSETS):
    """From `x` [rows, 2] to `y` [rows, 1]."""
    graph = helper.make_graph(
        nodes, "hostile", [helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, 2])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [None, 1])], list(initializers),
    )
    return helper.make_model(graph, opset_imports=opsets, ir_version=10, producer_name="quintet")


def hostile():
    folder = OUT / "hostile"
    folder.mkdir(parents=True)

    def save(name, model):
        (folder / f"{name}.onnx").write_bytes(model.SerializeToString())

    product = helper.make_node("MatMul", ["x", "w"], ["y"])
    whole = (OUT / "forest" / "model.onnx").read_bytes()
    (folder / "truncated.onnx").write_bytes(whole[: len(whole) * 2 // 3])

    elsewhere = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[2, 1], data_location=TensorProto.EXTERNAL)
    for key, value in (("location", "../../../../../../etc/passwd"), ("offset", "0"), ("length", "8")):
        elsewhere.external_data.add(key=key, value=value)
    save("external-data", sum_model([product], [elsewhere]))

    custom = helper.make_node("Shell", ["x"], ["y"], domain="ai.onnx.contrib", name="runs anything")
    save("custom-operator", sum_model([custom], opsets=[*OPSETS, helper.make_opsetid("ai.onnx.contrib", 1)]))

    circle = [helper.make_node("Add", ["x", "b"], ["a"]), helper.make_node("Identity", ["a"], ["b"]),
              helper.make_node("ReduceSum", ["b", "axis"], ["y"])]
    save("cyclic", sum_model(circle, [numpy_helper.from_array(np.array([1]), "axis")]))

    hollow = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[2, 1 << 27])
    save("gigabyte-declared", sum_model([product], [hollow]))

    # 2 GiB of ones, from their number; a sum over them for each row.
    grown = [
        helper.make_node("ReduceMax", ["x"], ["most"], keepdims=0), helper.make_node("Cast", ["most"], ["none"], to=TensorProto.INT64),
        helper.make_node("Add", ["gigabytes", "none"], ["shape"]),
        helper.make_node("ConstantOfShape", ["shape"], ["ones"], value=helper.make_tensor("one", TensorProto.FLOAT, [1], [1])),
        helper.make_node("ReduceSum", ["ones"], ["sum"], keepdims=0), helper.make_node("ReduceSum", ["x", "axis"], ["sums"]),
        helper.make_node("Add", ["sums", "sum"], ["y"]),
    ]
    save("gigabytes-at-run-time", sum_model(grown, [numpy_helper.from_array(np.array([1 << 29]), "gigabytes"), numpy_helper.from_array(np.array([1]), "axis")]))


if __name__ == "__main__":
    shutil.rmtree(OUT, ignore_errors=True)
    classifiers()
    regression()
    lightgbm("lightgbm-strings", WORDS)
    lightgbm("lightgbm-binary", (BAND > 0).astype(int))
    pipeline()
    every_type()
    hostile()
    print(len(list(OUT.rglob("*.onnx"))), "files,", sum(file.stat().st_size for file in OUT.rglob("*.*")), "bytes")
