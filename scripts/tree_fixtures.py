"""Trains one small booster for each way in which LightGBM and XGBoost decide, and writes what each says.

    python3.11 -m venv .tools/trees
    .tools/trees/bin/pip install -r scripts/tree_fixtures.requirements.txt
    .tools/trees/bin/python scripts/tree_fixtures.py

Needed only to write the fixtures anew: `tests/fixtures/trees/` is committed. A fixture is the file that the library
saves and `expected.json`: rows with missing values, zeros, values on thresholds and unknown categories, with the
library's own predictions, raw scores and contributions. JSON says null for NaN, "Infinity" and "-Infinity".
"""

import gzip
import json
import math
import shutil
import warnings
from pathlib import Path

import lightgbm as lgb
import numpy as np
import pandas as pd
import xgboost as xgb

warnings.filterwarnings("ignore")
OUT = Path(__file__).resolve().parent.parent / "tests" / "fixtures" / "trees"
ROWS, COLUMNS, SHOWN = 1500, 8, 60
LIGHTGBM = {"verbose": -1, "num_threads": 1, "seed": 7, "deterministic": True, "force_row_wise": True, "num_leaves": 15,
            "learning_rate": 0.2, "min_data_in_leaf": 5}
XGBOOST = {"nthread": 1, "seed": 7, "max_depth": 4, "eta": 0.3, "tree_method": "hist"}
rng = np.random.default_rng(7)


# Data


def numbers(missing=0.1, zeros=0.15):
    table = rng.normal(size=(ROWS, COLUMNS)).round(3)
    table[rng.random(table.shape) < zeros] = 0
    table[rng.random(table.shape) < missing] = np.nan
    return table


def signal(table):
    x = np.nan_to_num(table, nan=0.7)
    return 1.5 * x[:, 0] - x[:, 1] * x[:, 2] + np.sin(3 * x[:, 3]) + 0.5 * (x[:, 4] > 0) + rng.normal(0, 0.2, ROWS)


def with_categories(table, levels=(5, 70)):
    """Two columns of codes in the place of numbers, with a say in the target."""
    for column, count in enumerate(levels, start=5):
        codes = rng.integers(0, count, ROWS).astype(float)
        codes[rng.random(ROWS) < 0.08] = np.nan
        table[:, column] = codes
    odd = np.nan_to_num(table[:, 5], nan=2) % 2 + np.nan_to_num(table[:, 6], nan=5) % 3
    return table, signal(np.delete(table, (5, 6), 1)) + 2 * odd


def shown(table, thresholds=(), categorical=()):
    """Rows to compare: some as they are, then such as decide at the edges."""
    rows = table[:SHOWN].copy()
    columns = table.shape[1]
    for at in range(20, SHOWN):
        for column in rng.integers(0, columns, 3):
            if column in categorical:
                rows[at, column] = rng.choice([0, 1, 2.7, -1, -0.5, 31, 32, 63, 64, 69, 70, 500, np.nan])
            else:
                rows[at, column] = rng.choice([0.0, -0.0, np.nan, 1e-36, -1e-36, 1e-30, 1e6, -1e6])
    for at, (column, value) in enumerate(list(thresholds)[: SHOWN - 20]):
        rows[20 + at, column] = value
    return rows


# Writing


def plain(value):
    if isinstance(value, (list, tuple, np.ndarray)):
        return [plain(each) for each in value]
    value = float(value)
    if math.isnan(value):
        return None
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    return int(value) if value == int(value) and abs(value) < 1e15 and not (value == 0 and math.copysign(1, value) < 0) else value


def write(name, save, document):
    folder = OUT / name
    folder.mkdir(parents=True)
    save(folder)
    (folder / "expected.json").write_text(json.dumps(document, separators=(",", ":")) + "\n")


def flat(values):
    """[rows, values]"""
    return np.asarray(values, dtype=float).reshape(len(values), -1)


# LightGBM


def lightgbm_thresholds(booster):
    found = []

    def walk(node):
        if "split_feature" in node:
            if node["decision_type"] == "<=" and math.isfinite(node["threshold"]) and abs(node["threshold"]) < 1e300:
                found.append((node["split_feature"], node["threshold"]))
            walk(node["left_child"])
            walk(node["right_child"])

    for tree in booster.dump_model()["tree_info"]:
        walk(tree["tree_structure"])
    rng.shuffle(found)
    return [(int(feature), float(threshold)) for feature, threshold in found]


def lightgbm_case(name, objective, x, y, rounds=20, compress=False, frame=None, contributions=True, **options):
    names = options.pop("feature_name", [f"x{n}" for n in range(COLUMNS)])
    categorical = options.pop("categorical_feature", [])
    early = options.pop("early", False)
    group = options.pop("group", None)
    params = {**LIGHTGBM, "objective": objective, **options}
    given = x if frame is None else frame
    if early:
        given, y, held_x, held_y = x[400:], y[400:], x[:400], y[:400]
    data = lgb.Dataset(given, y, feature_name="auto" if frame is not None else names,
                       categorical_feature="auto" if frame is not None else categorical, group=group,
                       free_raw_data=False)
    if early:
        held = lgb.Dataset(held_x, held_y, reference=data)
        booster = lgb.train(params, data, rounds, valid_sets=[held], callbacks=[lgb.early_stopping(early, verbose=False)])
    else:
        booster = lgb.train(params, data, rounds)
    rows = shown(x, lightgbm_thresholds(booster), categorical)
    # Of a frame the codes that pandas gave; what is no code is no category.
    predict = lambda **how: flat(booster.predict(rows, validate_features=False, **how))
    document = {
        "library": f"lightgbm {lgb.__version__}", "objective": objective, "inputs": plain(rows),
        "predictions": plain(predict()), "raw": plain(predict(raw_score=True)),
    }
    if contributions:
        document["contributions"] = plain(predict(pred_contrib=True))

    def save(folder):
        booster.save_model(folder / "model.txt")
        if compress:
            with open(folder / "model.txt", "rb") as source, open(folder / "model.txt.gz", "wb") as target:
                with gzip.GzipFile(fileobj=target, mode="wb", mtime=0, filename="") as zipped:
                    shutil.copyfileobj(source, zipped)
            (folder / "model.txt").unlink()

    write(f"lightgbm-{name}", save, document)


def lightgbm_cases():
    x = numbers()
    s = signal(x)
    positive = np.exp(s / 3)
    counts = rng.poisson(positive).astype(float)
    label = (s > 0.3).astype(float)
    three = np.digitize(s, [-0.7, 1.0]).astype(float)
    case = lightgbm_case
    case("binary", "binary", x, label)
    case("binary-sigmoid", "binary", x, label, sigmoid=2.5)
    case("binary-unbalanced", "binary", x, (s > 2).astype(float), is_unbalance=True, boost_from_average=False)
    case("regression", "regression", x, s)
    case("regression-sqrt", "regression", x, s, reg_sqrt=True)
    case("regression-l1", "regression_l1", x, s)
    case("huber", "huber", x, s)
    case("fair", "fair", x, s)
    case("mape", "mape", x, s + 10)
    case("quantile", "quantile", x, s, alpha=0.9)
    case("poisson", "poisson", x, counts)
    case("gamma", "gamma", x, positive)
    case("tweedie", "tweedie", x, counts)
    case("multiclass", "multiclass", x, three, num_class=3)
    case("multiclassova", "multiclassova", x, three, num_class=3, sigmoid=1.5)
    case("cross-entropy", "cross_entropy", x, 1 / (1 + np.exp(-s)))
    case("cross-entropy-lambda", "cross_entropy_lambda", x, 1 / (1 + np.exp(-s)))
    case("lambdarank", "lambdarank", x, three, group=[30] * (ROWS // 30))
    case("rf", "binary", x, label, boosting="rf", bagging_fraction=0.6, bagging_freq=1, feature_fraction=0.7)
    case("rf-regression", "regression", x, s, boosting="rf", bagging_fraction=0.6, bagging_freq=1)
    case("dart", "regression", x, s, boosting="dart", drop_rate=0.4)
    case("goss", "binary", x, label, data_sample_strategy="goss")
    case("zero-as-missing", "regression", x, s, zero_as_missing=True)
    case("no-missing", "regression", numbers(0), s, use_missing=False)
    case("dense", "regression", (dense := numbers(0)), signal(dense))
    case("early-stopping", "regression", x, s, rounds=300, early=5)
    case("single-leaf", "regression", x, s, rounds=3, min_gain_to_split=1e9)
    case("single-leaf-binary", "binary", x, label, rounds=2, min_gain_to_split=1e9)
    case("stump", "regression", x, s, num_leaves=2)
    c, target = with_categories(numbers())
    case("categorical", "regression", c.copy(), target, categorical_feature=[5, 6], min_data_per_group=5, cat_smooth=1)
    case("categorical-binary", "binary", c.copy(), (target > 1).astype(float), categorical_feature=[5, 6],
         max_cat_to_onehot=80, min_data_per_group=5)
    frame = pd.DataFrame(c[:, :5], columns=[f"x{n}" for n in range(5)])
    frame["island"] = pd.Categorical.from_codes(np.nan_to_num(c[:, 5], nan=-1).astype(int), ["Biscoe", "Dream", "Torgersen", 'a "b", c', "é"])
    frame["code"] = pd.Categorical.from_codes(np.nan_to_num(c[:, 6], nan=-1).astype(int), list(range(100, 170)))
    frame["x7"] = c[:, 7]
    case("pandas", "binary", c.copy(), (target > 1).astype(float), frame=frame)
    wide = numbers()
    case("large", "binary", wide, (signal(wide) > 0).astype(float), rounds=500, num_leaves=127, min_data_in_leaf=1,
         compress=True, learning_rate=0.05)
    case("deep", "regression", x, s, rounds=5, num_leaves=200, min_data_in_leaf=1, max_bin=1000)
    # Refused: its leaves are lines.
    case("linear-tree", "regression", x, s, linear_tree=True, contributions=False)


# XGBoost


def xgboost_thresholds(booster):
    table = booster.trees_to_dataframe()
    table = table[(table["Feature"] != "Leaf") & table["Split"].notna()]
    pairs = [(int(str(f)[1:]), float(np.float32(t))) for f, t in zip(table["Feature"], table["Split"])]
    rng.shuffle(pairs)
    return [(int(f), float(t)) for f, t in pairs]


def xgboost_case(name, objective, x, y, rounds=15, form="json", contributions=True, **options):
    types = options.pop("feature_types", None)
    early = options.pop("early", False)
    extra = options.pop("extra", {})
    linear = options.get("booster") == "gblinear"
    is_refused = linear or "multi_strategy" in options
    x = x.astype(np.float32)
    make = lambda table, labels: xgb.DMatrix(table, labels, feature_names=[f"x{n}" for n in range(COLUMNS)],
                                             feature_types=types, enable_categorical=types is not None, nthread=1, **extra)
    data = make(x[400:], y[400:]) if early else make(x, y)
    params = {**({} if linear else XGBOOST), "objective": objective, **options}
    evals = [(make(x[:400], y[:400]), "held")] if early else []
    booster = xgb.train(params, data, rounds, evals=evals, early_stopping_rounds=early or None, verbose_eval=False)
    thresholds = [] if is_refused or types else xgboost_thresholds(booster)
    categorical = [n for n, kind in enumerate(types or []) if kind == "c"]
    rows = shown(x.astype(np.float64), thresholds, categorical).astype(np.float32)
    for column in categorical:  # XGBoost refuses what can't be a category
        rows[:, column] = np.where(rows[:, column] < 0, np.nan, np.floor(rows[:, column]))
    asked = xgb.DMatrix(rows, feature_names=[f"x{n}" for n in range(COLUMNS)], feature_types=types,
                        enable_categorical=types is not None, nthread=1)
    best = {"iteration_range": (0, booster.best_iteration + 1)} if early else {}
    predict = lambda **how: flat(booster.predict(asked, **best, **how))
    document = {
        "library": f"xgboost {xgb.__version__}", "objective": objective, "inputs": plain(rows.astype(float)),
        "predictions": plain(predict()), "raw": plain(predict(output_margin=True)),
    }
    if contributions:
        document["contributions"] = plain(predict(pred_contribs=True))
    write(f"xgboost-{name}", lambda folder: booster.save_model(folder / f"model.{form}"), document)


def xgboost_frame(name, frame, y, form="json"):
    """With the names of categories in the file, which XGBoost keeps since 3.1."""
    data = xgb.DMatrix(frame, y, enable_categorical=True, nthread=1)
    booster = xgb.train({**XGBOOST, "objective": "reg:squarederror"}, data, 15)
    asked = xgb.DMatrix(frame[:SHOWN], enable_categorical=True, nthread=1)
    rows = [[value if isinstance(value, (str, int)) else plain(value) for value in row] for row in
            frame[:SHOWN].astype(object).values.tolist()]
    predict = lambda **how: flat(booster.predict(asked, **how))
    document = {
        "library": f"xgboost {xgb.__version__}", "objective": "reg:squarederror",
        "inputs": rows, "predictions": plain(predict()), "raw": plain(predict(output_margin=True)),
        "contributions": plain(predict(pred_contribs=True)),
    }
    write(f"xgboost-{name}", lambda folder: booster.save_model(folder / f"model.{form}"), document)


def xgboost_cases():
    x = numbers()
    s = signal(x)
    positive = np.exp(s / 3)
    counts = rng.poisson(positive).astype(float)
    label = (s > 0.3).astype(float)
    three = np.digitize(s, [-0.7, 1.0]).astype(float)
    case = xgboost_case
    case("binary", "binary:logistic", x, label)
    case("binary-ubj", "binary:logistic", x, label, form="ubj")
    case("binary-base-score", "binary:logistic", x, label, base_score=0.2)
    case("one-class", "binary:logistic", x, np.zeros(ROWS))
    case("logitraw", "binary:logitraw", x, label)
    case("hinge", "binary:hinge", x, label)
    case("regression", "reg:squarederror", x, s)
    case("regression-ubj", "reg:squarederror", x, s, form="ubj")
    case("logistic", "reg:logistic", x, 1 / (1 + np.exp(-s)))
    case("squaredlogerror", "reg:squaredlogerror", x, positive)
    case("absoluteerror", "reg:absoluteerror", x, s)
    case("pseudohuber", "reg:pseudohubererror", x, s)
    case("quantile", "reg:quantileerror", x, s, quantile_alpha=0.8)
    case("quantiles", "reg:quantileerror", x, s, quantile_alpha=[0.1, 0.5, 0.9])
    case("poisson", "count:poisson", x, counts)
    case("gamma", "reg:gamma", x, positive)
    case("tweedie", "reg:tweedie", x, counts, tweedie_variance_power=1.4)
    case("softprob", "multi:softprob", x, three, num_class=3)
    case("softprob-ubj", "multi:softprob", x, three, num_class=3, form="ubj")
    case("softmax", "multi:softmax", x, three, num_class=3)
    case("ndcg", "rank:ndcg", x, three, extra={"group": [30] * (ROWS // 30)})
    case("cox", "survival:cox", x, positive)
    case("dart", "binary:logistic", x, label, booster="dart", rate_drop=0.4)
    case("dart-softprob", "multi:softprob", x, three, num_class=3, booster="dart", rate_drop=0.4)
    case("forest", "binary:logistic", x, label, rounds=2, num_parallel_tree=8, subsample=0.7, colsample_bynode=0.6)
    case("early-stopping", "reg:squarederror", x, s, rounds=200, early=3, eta=0.6)
    case("single-leaf", "reg:squarederror", x, s, rounds=3, gamma=1e9)
    case("deep", "reg:squarederror", x, s, rounds=5, max_depth=12, min_child_weight=0)
    case("lossguide", "reg:squarederror", x, s, grow_policy="lossguide", max_leaves=20, max_depth=0)
    c, target = with_categories(numbers())
    types = ["q"] * 5 + ["c", "c"] + ["q"]
    case("categorical", "reg:squarederror", c.copy(), target, feature_types=types, max_cat_to_onehot=2)
    case("categorical-onehot", "binary:logistic", c.copy(), (target > 1).astype(float), feature_types=types, max_cat_to_onehot=100)
    case("categorical-ubj", "reg:squarederror", c.copy(), target, feature_types=types, max_cat_to_onehot=2, form="ubj")
    frame = pd.DataFrame(c[:, :5], columns=[f"x{n}" for n in range(5)])
    frame["x5"] = pd.Categorical.from_codes(np.nan_to_num(c[:, 5], nan=-1).astype(int), ["Torgersen", "Biscoe", "Dream", 'a "b"', "c, d"])
    frame["x6"] = pd.Categorical.from_codes(np.nan_to_num(c[:, 6], nan=-1).astype(int), list(range(170, 100, -1)))
    frame["x7"] = c[:, 7]
    xgboost_frame("pandas", frame, target)
    wide = numbers()
    case("large", "binary:logistic", wide, (signal(wide) > 0).astype(float), rounds=300, max_depth=6, eta=0.05, form="ubj")
    # Refused: no trees, and trees that answer a vector.
    case("linear", "reg:squarederror", x, s, booster="gblinear", contributions=False)
    case("vector-leaf", "multi:softprob", x, three, num_class=3, multi_strategy="multi_output_tree", contributions=False)


if __name__ == "__main__":
    shutil.rmtree(OUT, ignore_errors=True)
    lightgbm_cases()
    xgboost_cases()
    print(len(list(OUT.iterdir())), "fixtures")
