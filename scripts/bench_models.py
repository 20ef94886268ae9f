"""Makes the models that scripts/bench asks beside the one it quotes: python scripts/bench_models.py FOLDER

`large` has 500 trees of 127 leaves, as LightGBM saves them and as ONNX; `linear` is a matrix of 10 x 3 with a softmax.
Both are made-up numbers, the same at every run.
"""

import json
import sys
from pathlib import Path

import lightgbm as lgb
import numpy as np
from lightgbm_onnx import classifier, model
from onnx import helper

SEED = 7
COLUMNS = [f"f{i}" for i in range(10)]
GOLDEN_ROWS = 20


def large(folder: Path, features: np.ndarray) -> None:
    score = features[:, 0] + features[:, 1] * features[:, 2] + np.sin(3 * features[:, 3])
    settings = {"objective": "binary", "num_leaves": 127, "min_data_in_leaf": 1, "learning_rate": 0.05}
    repeatable = {"seed": SEED, "deterministic": True, "num_threads": 1, "verbose": -1}
    booster = lgb.train(settings | repeatable, lgb.Dataset(features, score > 0.5), 500)
    second = booster.predict(features[:GOLDEN_ROWS])
    files = {"model.txt": booster.model_to_string().encode(), "model.onnx": classifier(booster).SerializeToString()}
    write(folder, "large", ["no", "yes"], files, features, np.column_stack([1 - second, second]))


def linear(folder: Path, features: np.ndarray) -> None:
    weights = np.random.default_rng(SEED).normal(size=(10, 3))
    nodes = [
        helper.make_node("MatMul", ["features", "weights"], ["scores"]),
        helper.make_node("Softmax", ["scores"], ["probabilities"], axis=1),
    ]
    scores = np.exp(features[:GOLDEN_ROWS] @ weights)
    files = {"model.onnx": model(nodes, 10, 3, weights=weights).SerializeToString()}
    write(folder, "linear", ["a", "b", "c"], files, features, scores / scores.sum(axis=1, keepdims=True))


def write(folder: Path, name: str, classes: list[str], files: dict, features: np.ndarray, answers: np.ndarray) -> None:
    place = folder / name / "1"
    place.mkdir(parents=True, exist_ok=True)
    for file, content in files.items():
        (place / file).write_bytes(content)
    manifest = {
        "name": name,
        "version": "1",
        "kind": "classification",
        "title": name,
        "description": "Made-up numbers, for measurements only.",
        "file": next(iter(files)),
        "inputs": [{"name": column, "type": "number"} for column in COLUMNS],
        "outputs": [{"name": "class", "type": "category"}],
        "classes": classes,
        "metrics": {},
        "cache": False,
    }
    golden = {
        "features": [dict(zip(COLUMNS, row)) for row in features[:GOLDEN_ROWS].tolist()],
        "predictions": [classes[best] for best in answers.argmax(axis=1)],
        "probabilities": [dict(zip(classes, row)) for row in answers.tolist()],
    }
    (place / "manifest.json").write_text(json.dumps(manifest, indent=2))
    (place / "golden.json").write_text(json.dumps(golden))


if __name__ == "__main__":
    made = np.random.default_rng(SEED).normal(size=(20_000, 10)).round(3)
    large(Path(sys.argv[1]), made)
    linear(Path(sys.argv[1]), made)
