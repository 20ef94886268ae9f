"""Trains every model of the repository with LightGBM: as its own text, or as ONNX, checked against each other.

    python3.11 -m venv .tools/train
    .tools/train/bin/pip install -r scripts/train_models.requirements.txt
    .tools/train/bin/python scripts/train_models.py

Needed only to retrain: what it writes is committed. Each model's folder gets `model.txt` or `model.onnx`, `manifest.json` (what a
caller may send, and how good the model is on rows held out from it) and `golden.json` (held-out rows with LightGBM's
own answers, for the server's tests). The data sets come inside Python packages; a second run writes the same bytes.
"""

import json
from collections.abc import Callable
from pathlib import Path

import lightgbm as lgb
import numpy as np
import onnxruntime
import pandas as pd
from onnx import ModelProto
from plotnine import data as plotnine_data
from statsmodels.datasets import co2 as statsmodels_co2

from lightgbm_onnx import classifier, forecaster, regressor

ROOT = Path(__file__).resolve().parent.parent
SEED = 1
REPEATABLE = {"seed": SEED, "deterministic": True, "force_row_wise": True, "num_threads": 1, "verbose": -1}
GOLDEN_ROWS = 20
MANIFEST_KEYS = (
    "name version kind title description file inputs outputs classes horizon frequency intervals "
    "training_data metrics licence cache example"
).split()


# What is trained


def penguins() -> None:
    columns = {
        "bill_length_mm": "Length of the bill in millimetres",
        "bill_depth_mm": "Depth of the bill in millimetres",
        "flipper_length_mm": "Length of the flipper in millimetres",
        "body_mass_g": "Body mass in grams",
        "island": "Island of the Palmer Archipelago where the penguin was seen",
        "sex": "Sex of the penguin",
    }
    table = plotnine_data.penguins
    manifest = {
        "name": "classification",
        "kind": "classification",
        "title": "Penguin species",
        "description": "Tells the species of a penguin from its measurements. Any of them may be missing.",
        "inputs": inputs(table, columns),
        "outputs": [{"name": "species", "type": "category", "description": "Species of the penguin"}],
        "classes": list(table["species"].cat.categories),
        "training_data": {
            "name": "Palmer penguins",
            "source": "PyPI plotnine 0.15.9 (plotnine.data.penguins). Horst, Hill and Gorman (2020), palmerpenguins, "
            "doi:10.5281/zenodo.3960218; Gorman, Williams and Fraser (2014), PLoS ONE 9(3): e90081",
            "licence": "CC0-1.0",
        },
    }
    species = table["species"].cat.codes.to_numpy()
    settings = {"objective": "multiclass", "num_class": 3, "num_leaves": 4, "min_data_in_leaf": 5}
    train_table("models/classification/1", manifest, encode(table[[*columns]]), species, settings, gappy_copies=4)


def diamonds() -> None:
    columns = {
        "carat": "Weight in carats (0.2 g each)",
        "depth": "Total depth in percent of the mean of x and y",
        "table": "Width of the top in percent of the widest point",
        "x": "Length in millimetres",
        "y": "Width in millimetres",
        "z": "Depth in millimetres",
        "cut": "Quality of the cut, worst to best",
        "color": "Colour, best (D) to worst (J)",
        "clarity": "Clarity, worst (I1) to best (IF)",
    }
    table = plotnine_data.diamonds
    manifest = {
        "name": "regression",
        "kind": "regression",
        "title": "Diamond price",
        "description": "Estimates the price of a round-cut diamond from its size and grades. "
        "Any of them may be missing.",
        "inputs": inputs(table, columns),
        "outputs": [{"name": "price", "type": "number", "description": "Price in US dollars"}],
        "training_data": {
            "name": "Diamonds",
            "source": "PyPI plotnine 0.15.9 (plotnine.data.diamonds). Wickham (2016), ggplot2: Elegant Graphics for "
            "Data Analysis, Springer",
            "licence": "MIT",
        },
    }
    price = table["price"].to_numpy(float)
    settings = {"objective": "regression", "num_leaves": 31}
    train_table("models/regression/1", manifest, encode(table[[*columns]]), price, settings, rounds=300, gappy_copies=1)


def carbon_dioxide() -> None:
    window, steps, held_out = 36, 24, 72
    manifest = {
        "name": "forecast",
        "kind": "forecast",
        "title": "Atmospheric CO2",
        "description": "Continues a history of monthly CO2 concentrations by up to 24 months. Made for histories of "
        f"{window} months (only the last {window} count); shorter ones and gaps are answered too, less exactly. "
        "The intervals are as wide as what the model got wrong on years that it had not seen. Growth has quickened since: "
        "they hold less often than they say, see the metrics.",
        "inputs": [
            {
                "name": "history",
                "type": "series",
                "length": window,
                "description": "Monthly mean CO2 concentrations in ppm (parts per million by volume), oldest first",
            }
        ],
        "outputs": [{"name": "co2", "type": "series", "description": "Monthly mean CO2 to come, in ppm"}],
        "horizon": {"default": 12, "max": steps},
        "frequency": "month",
        "intervals": [0.8, 0.95],
        "training_data": {
            "name": "Mauna Loa CO2, monthly means of weekly averages, March 1958 to December 2001",
            "source": "PyPI statsmodels 0.15.0 (statsmodels.datasets.co2). Keeling and Whorf (2004), Atmospheric CO2 "
            "concentrations derived from flask air samples at sites in the SIO network, Carbon Dioxide Information "
            "Analysis Center, Oak Ridge National Laboratory",
            "licence": "public domain",
        },
    }
    series = statsmodels_co2.load_pandas().data["co2"].resample("MS").mean().round(2)
    train_series("models/forecast/1", manifest, series, window, steps, held_out)


def bench_trees() -> None:
    """The model that benchmarks quote: 100 trees of 31 leaves over 10 numbers; as text, and as ONNX for others."""
    rng = np.random.default_rng(SEED)
    features = with_gaps(rng.normal(size=(20_000, 10)).round(3), rng, at_most=0.1)
    known = np.nan_to_num(features)
    score = known[:, 0] + known[:, 1] * known[:, 2] + np.sin(3 * known[:, 3]) + known[:, 4] ** 2 / 2
    answer = score + rng.normal(scale=0.5, size=len(score)) > 0.5
    manifest = synthetic("trees", "Benchmark trees", [f"f{i}" for i in range(10)], ["no", "yes"]) | {"cache": False}
    settings = {"objective": "binary", "num_leaves": 31}
    train_table("tests/bench/models/trees/1", manifest, features, answer, settings, files=("model.txt", "model.onnx"))


def fixture() -> None:
    """The small model of the contract tests: positive where x1 · x2 is large."""
    rng = np.random.default_rng(SEED)
    features = rng.uniform(0, 7, size=(2_000, 2)).round(2)
    positive = features.prod(axis=1) + rng.normal(size=len(features)) > 12
    manifest = synthetic("classification", "Two numbers", ["x1", "x2"], ["negative", "positive"])
    settings = {"objective": "binary", "num_leaves": 7}
    train_table("tests/fixtures/models/classification/1", manifest, features, positive, settings, 20, 1, files=("model.onnx",))


def synthetic(name: str, title: str, columns: list[str], classes: list[str]) -> dict:
    return {
        "name": name,
        "kind": "classification",
        "title": title,
        "description": "Trained on made-up numbers, for tests and measurements only.",
        "inputs": [{"name": column, "type": "number", "description": "A number without unit"} for column in columns],
        "outputs": [{"name": "class", "type": "category", "description": "One of two classes"}],
        "classes": classes,
        "training_data": {"name": "Made up", "source": "scripts/train_models.py", "licence": "Apache-2.0"},
    }


# Tables: a row of numbers and categories in, a class or a number out


def train_table(
    folder: str,
    manifest: dict,
    features: np.ndarray,
    target: np.ndarray,
    settings: dict,
    rounds: int = 100,
    gappy_copies: int = 0,
    files: tuple[str, ...] = ("model.txt",),
) -> None:
    rng = np.random.default_rng(SEED)
    classifies = manifest["kind"] == "classification"
    kept, held = split(target, rng, stratified=classifies)
    # Trees that never saw a missing value read it as zero: copies with gaps teach them to do with what is there.
    training = np.vstack([features[kept], *(with_gaps(features[kept], rng) for _ in range(gappy_copies))])
    targets = np.tile(target[kept], 1 + gappy_copies)
    categories = [i for i, column in enumerate(manifest["inputs"]) if column["type"] == "category"]
    booster = lgb.train(settings | REPEATABLE, lgb.Dataset(training, targets, categorical_feature=categories), rounds)

    def predict(rows: np.ndarray) -> np.ndarray:
        values = booster.predict(rows)
        if values.ndim == 2:
            return values
        return np.column_stack([1 - values, values]) if classifies else values[:, None]

    proto = classifier(booster) if classifies else regressor(booster)
    awkward = [features, with_gaps(features, rng), on_thresholds(features, [booster], rng)]
    if "model.onnx" in files:
        verify(folder, proto, predict, np.vstack(awkward), tolerance=1e-6 if classifies else 1e-5)

    score = scores_of_classes if classifies else scores_of_numbers
    manifest["training_data"]["rows"] = len(features)
    manifest["metrics"] = score(predict(features[held]), target[held]) | {"rows": len(held)}
    manifest["example"] = as_sent(manifest, features[~np.isnan(features).any(axis=1)][0])
    rows = features[rng.choice(held, GOLDEN_ROWS, replace=False)]
    rows[::3] = with_gaps(rows[::3], rng)
    contents = {"model.txt": booster.model_to_string().encode(), "model.onnx": onnx_bytes(proto)}
    write(folder, {name: contents[name] for name in files}, manifest, golden_table(manifest, rows, predict(rows)))


def golden_table(manifest: dict, rows: np.ndarray, answers: np.ndarray) -> dict:
    features = [as_sent(manifest, row) for row in rows]
    if manifest["kind"] == "regression":
        return {"features": features, "predictions": answers[:, 0].tolist()}
    classes = manifest["classes"]
    return {
        "features": features,
        "predictions": [classes[best] for best in answers.argmax(axis=1)],
        "probabilities": [dict(zip(classes, row)) for row in answers.tolist()],
    }


def inputs(table: pd.DataFrame, columns: dict[str, str]) -> list[dict]:
    """The manifest's inputs, in the order of the model's columns."""
    described = []
    for name, description in columns.items():
        kind = {"type": "number"}
        if isinstance(table[name].dtype, pd.CategoricalDtype):
            kind = {"type": "category", "categories": list(table[name].cat.categories)}
        described.append({"name": name, **kind, "description": description})
    return described


def encode(table: pd.DataFrame) -> np.ndarray:
    """Doubles: a category as its place in the list of categories, what is missing as NaN."""
    categories = table.select_dtypes("category")
    codes = categories.apply(lambda column: column.cat.codes.where(column.notna()))
    return table.assign(**codes).to_numpy(float)


def as_sent(manifest: dict, row: np.ndarray) -> dict:
    """A row of the model as a caller would send it."""

    def value(column: dict, number: float):
        if np.isnan(number):
            return None
        return column["categories"][int(number)] if "categories" in column else tidy(number)

    return {column["name"]: value(column, number) for column, number in zip(manifest["inputs"], row)}


def split(target: np.ndarray, rng: np.random.Generator, stratified: bool) -> tuple[np.ndarray, np.ndarray]:
    """Positions of the rows to train on and of a random fifth to hold out, a fifth of each class where stratified."""
    rows = np.arange(len(target))
    groups = [rows[target == value] for value in np.unique(target)] if stratified else [rows]
    held = np.sort(np.concatenate([rng.choice(group, round(len(group) / 5), replace=False) for group in groups]))
    return np.setdiff1d(rows, held), held


def with_gaps(rows: np.ndarray, rng: np.random.Generator, at_most: float = 1.0) -> np.ndarray:
    """A copy in which each row misses a random share of its values, from nothing to (nearly) everything."""
    share = rng.uniform(0, at_most, size=(len(rows), 1))
    return np.where(rng.random(rows.shape) < share, np.nan, rows)


def scores_of_classes(probabilities: np.ndarray, target: np.ndarray) -> dict:
    of_the_truth = probabilities[np.arange(len(target)), target.astype(int)]
    return {"accuracy": (probabilities.argmax(axis=1) == target).mean(), "log_loss": -np.log(of_the_truth).mean()}


def scores_of_numbers(predictions: np.ndarray, target: np.ndarray) -> dict:
    error = predictions[:, 0] - target
    squared = (error**2).mean()
    return {"mae": np.abs(error).mean(), "rmse": squared**0.5, "r2": 1 - squared / target.var()}


# Series: a history in, its continuation out


def train_series(folder: str, manifest: dict, dated: pd.Series, window: int, steps: int, held_out: int) -> None:
    """One booster a step ahead, none of which has seen the last `held_out` values, and intervals around what they say."""
    series, levels = dated.to_numpy(), manifest["intervals"]
    cut = len(series) - held_out
    boosters = boosters_of(series[:cut], window, steps)
    offsets = offsets_of(series[:cut], window, steps, held_out, levels)

    def predict(histories: np.ndarray) -> np.ndarray:
        return values_of(boosters, histories)

    def predict_all(histories: np.ndarray) -> np.ndarray:
        values, known = predict(histories), np.isfinite(histories).sum(axis=1)
        return np.hstack([values, np.tile(values, 2 * len(levels)) + offsets[known]])

    rng = np.random.default_rng(SEED)
    proto = forecaster(boosters, offsets)
    everything, futures = windows(series, window, steps)
    # At a level of zero a row's differences are its values, so that they fall on the thresholds exactly.
    thresholds = on_thresholds(np.zeros_like(everything), boosters, rng)
    thresholds[:, -1] = 0
    verify(folder, proto, predict_all, np.vstack([everything, shortened(everything, rng), thresholds]), tolerance=1e-5)

    tests = slice(cut - 1, len(series) - steps)
    histories, futures = everything[tests], futures[tests]
    short = last_of(histories, 4)
    manifest["training_data"]["rows"] = len(series)
    manifest["metrics"] = {
        "mae": np.abs(predict(histories) - futures).mean(),
        "mae_with_4_months_of_history": np.abs(predict(short) - futures).mean(),
        "mae_of_last_year_repeated": np.abs(np.tile(histories[:, -12:], steps // 12) - futures).mean(),
        "mae_of_last_value_repeated": np.abs(histories[:, -1:] - futures).mean(),
        **coverage(predict_all(histories), futures, levels),
        **coverage(predict_all(short), futures, levels, "_with_4_months_of_history"),
        "rows": len(histories),
    }
    manifest["example"] = {
        "history": series[-window:].tolist(),
        "last_timestamp": f"{dated.index[-1]:%Y-%m-%d}",
        "horizon": manifest["horizon"]["default"],
    }
    write(folder, {"model.onnx": onnx_bytes(proto)}, manifest, golden_series(histories, predict_all, steps, levels))


def boosters_of(series: np.ndarray, window: int, steps: int) -> list[lgb.Booster]:
    """A booster a step.

    Trees can't go beyond the values that they were trained on, and a trend always does: they learn differences from the
    last known value instead of levels.
    """
    rng = np.random.default_rng(SEED)
    gappy_copies = 4
    histories, futures = windows(series, window, steps)
    histories = np.vstack([histories, *(shortened(histories, rng) for _ in range(gappy_copies))])
    level, differences = from_level(histories)
    targets = np.tile(futures, (1 + gappy_copies, 1)) - level
    settings = {"objective": "regression", "num_leaves": 8, "min_data_in_leaf": 10} | REPEATABLE
    boosters = []
    for target in targets.T:
        known = np.isfinite(target)
        boosters.append(lgb.train(settings, lgb.Dataset(differences[known], target[known]), 60))
    return boosters


def values_of(boosters: list[lgb.Booster], histories: np.ndarray) -> np.ndarray:
    level, differences = from_level(histories)
    return level + np.column_stack([booster.predict(differences) for booster in boosters])


def offsets_of(series: np.ndarray, window: int, steps: int, held_out: int, levels: list[float]) -> np.ndarray:
    """[window + 1, 2 * levels * steps]: how far the bounds lie from the values, by how much of a history is known.

    They are quantiles of what models got wrong that were trained on less: four times the next `held_out` values are
    kept from one, so that it stands as far from what it learnt as a caller does. Bounds never cross the value.
    """
    errors = [[] for _ in range(window + 1)]
    everything, futures = windows(series, window, steps)
    for cut in range(len(series) - 4 * held_out, len(series), held_out):
        boosters = boosters_of(series[:cut], window, steps)
        origins = slice(cut - 1, cut - 1 + held_out)
        for known in range(1, window + 1):
            values = values_of(boosters, last_of(everything[origins], known))
            errors[known].append(futures[origins] - values)
    # Without any value the answer is NaN, whatever is added.
    errors[0] = errors[1]
    tails = [tail for level in levels for tail in ((1 - level) / 2, (1 + level) / 2)]
    rows = [np.nanquantile(np.vstack(each), tails, axis=0) for each in errors]
    signs = np.array([(-1, 1)[tail > 0.5] for tail in tails])[:, None]
    return np.vstack([(signs * np.maximum(signs * row, 0)).round(4).ravel() for row in rows])


def coverage(answers: np.ndarray, futures: np.ndarray, levels: list[float], suffix: str = "") -> dict:
    """The share of what came that lay within each interval."""
    _, *bounds = np.split(answers, 1 + 2 * len(levels), axis=1)
    return {
        f"coverage_of_{100 * level:g}_percent_intervals{suffix}": ((low <= futures) & (futures <= high)).mean()
        for level, low, high in zip(levels, bounds[::2], bounds[1::2])
    }


def last_of(histories: np.ndarray, known: int) -> np.ndarray:
    """A copy in which each history has its last values only."""
    length = histories.shape[1]
    return np.where(np.arange(length) < length - known, np.nan, histories)


def windows(series: np.ndarray, window: int, steps: int) -> tuple[np.ndarray, np.ndarray]:
    """For each value of the series the history that ends with it, and what follows; NaN beyond the series' ends."""
    padded = np.pad(series, (window - 1, steps), constant_values=np.nan)
    rows = np.lib.stride_tricks.sliding_window_view(padded, window + steps)
    return rows[:, :window], rows[:, window:]


def shortened(histories: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A copy in which each history starts at random and lacks a twentieth of its values: callers have less than we."""
    start = rng.integers(0, histories.shape[1], size=(len(histories), 1))
    before = np.arange(histories.shape[1]) < start
    return np.where(before | (rng.random(histories.shape) < 0.05), np.nan, histories)


def from_level(histories: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The last known value of each history, and the history as differences from it."""
    last = np.where(np.isnan(histories), 0, np.arange(histories.shape[1])).max(axis=1, keepdims=True)
    level = np.take_along_axis(histories, last, axis=1)
    return level, histories - level


def golden_series(histories: np.ndarray, predict: Callable, steps: int, levels: list[float]) -> dict:
    golden = {"features": [], "predictions": [], "intervals": []}
    for number, history in enumerate(histories[np.linspace(0, len(histories) - 1, GOLDEN_ROWS).astype(int)]):
        length, horizon = (len(history), 24, 12, 4)[number % 4], (12, 24, 6, 1, 3)[number % 5]
        row = last_of(history[None], length)[0]
        if number == 4:
            row[-9] = np.nan
        if number == 8:
            row[-1] = np.nan
        sent = [None if np.isnan(value) else tidy(value) for value in row[-length:]]
        values, *bounds = predict(row[None]).reshape(-1, steps)[:, :horizon].tolist()
        golden["features"].append({"history": sent, "horizon": horizon})
        golden["predictions"].append(values)
        golden["intervals"].append(
            [
                {"level": level, "lower": lower, "upper": upper}
                for level, lower, upper in zip(levels, bounds[::2], bounds[1::2])
            ]
        )
    return golden


# Every model


def on_thresholds(rows: np.ndarray, boosters: list[lgb.Booster], rng: np.random.Generator) -> np.ndarray:
    """A copy made of the very numbers that the trees compare with, where a rounding would take the other branch."""
    rows = rows.copy()
    splits = pd.concat([booster.trees_to_dataframe() for booster in boosters]).query("decision_type == '<='")
    for column, name in enumerate(boosters[0].feature_name()):
        thresholds = splits.loc[splits["split_feature"] == name, "threshold"].to_numpy(float)
        if len(thresholds):
            rows[:, column] = rng.choice(thresholds, len(rows))
    return rows


def verify(folder: str, proto: ModelProto, predict: Callable, rows: np.ndarray, tolerance: float) -> None:
    """Stops unless ONNX Runtime answers as LightGBM, within the tolerance times what is larger: the answer or one."""
    session = onnxruntime.InferenceSession(proto.SerializeToString())
    expected = np.nan_to_num(predict(rows), nan=-1e9)
    answers = np.nan_to_num(session.run(None, {"features": rows})[0], nan=-1e9)
    error = (np.abs(answers - expected) / np.maximum(1, np.abs(expected))).max()
    print(f"{folder}: {len(rows)} rows, largest error {error:.1e}")
    if error > tolerance:
        raise SystemExit(f"{folder}: the error is over {tolerance}")


def onnx_bytes(proto: ModelProto) -> bytes:
    return proto.SerializeToString(deterministic=True)


def write(folder: str, files: dict[str, bytes], manifest: dict, golden: dict) -> None:
    """The first of the files is the one that is served."""
    facts = {"version": "1", "file": next(iter(files)), "licence": "Apache-2.0", "cache": True} | manifest
    facts["metrics"] = {name: tidy(float(f"{value:.4g}")) for name, value in facts["metrics"].items()}
    path = ROOT / folder
    path.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (path / name).write_bytes(content)
    ordered = {key: facts[key] for key in MANIFEST_KEYS if key in facts}
    for name, content in {"manifest": ordered, "golden": golden}.items():
        (path / f"{name}.json").write_text(json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n")
    print(f"{folder}: {facts['metrics']}")


def tidy(number: float) -> float | int:
    return int(number) if float(number).is_integer() else float(number)


if __name__ == "__main__":
    for recipe in (penguins, diamonds, carbon_dioxide, bench_trees, fixture):
        recipe()
