"""Uploads a fitted model to Quintet, so that callers send "Adelie" and not 0.

    from export import export
    export(model, "churn", X, title="Who leaves", share="read")

Takes LightGBM and XGBoost, by their own interface or scikit-learn's, and the estimators and pipelines of scikit-learn
that skl2onnx converts. Needs nothing but them and pandas: copy this file beside your own.
"""

import json
import math
import os
import tempfile
import urllib.error
import urllib.parse
import urllib.request
import uuid
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

TIMEOUT_SECONDS = 300


class Refused(RuntimeError):
    """What the server says against a model, in full."""


class Fitted(NamedTuple):
    """A model as its library saves it, and what that says of the rows."""

    file: str
    content: bytes
    names: list[str]
    categories: dict[int, list]
    predictions: Any
    classes: Any = None
    kind: str | None = None


def export(model, name, data, *, rows=200, to=None, share=None, url=None, token=None, **manifest):
    """Uploads a fitted model, with the names of its categories and rows that the server replays.

    data      what the model was trained on, or rows of it, as `predict` takes it: a data frame, or a matrix
    rows      how many of them, spread evenly, go along as examples; they are replayed and not kept
    to        a folder: the files are written there, to be sent by curl, and nothing is uploaded
    share     what the team may do to a new model: "none", "read" or "write"
    url       of the server; QUINTET_URL, or this machine
    token     a token or an API key; QUINTET_TOKEN
    manifest  what else there is to say: title, description, classes, metrics, training_data, cache, …

    Returns the number of the version, or the folder. Raises Refused with the reason.
    """
    frame = data if isinstance(data, pd.DataFrame) else pd.DataFrame(np.asarray(data))
    chosen = np.unique(np.linspace(0, len(frame) - 1, min(rows, len(frame))).astype(int))
    sample = frame.iloc[chosen]
    taken = sample if frame is data else sample.to_numpy()
    fitted = reader_of(model)(model, taken, frame)
    inputs, features = [], {}
    for at, called in enumerate(fitted.names):
        categories = fitted.categories.get(at)
        names = None if categories is None else [text_of(each) for each in categories]
        kind = {"type": "number"} if names is None else {"type": "category", "categories": names}
        inputs.append({"name": called, **kind})
        features[called] = cells_of(sample.iloc[:, at], called, names)
    said = {"name": name, "kind": fitted.kind, "inputs": inputs, "classes": labels_of(fitted.classes), **manifest}
    examples = {"features": features, "predictions": plain(np.asarray(fitted.predictions).tolist())}
    parts = {
        "model": (fitted.file, fitted.content),
        "manifest": ("manifest.json", encoded({key: value for key, value in said.items() if value is not None})),
        "examples": ("examples.json", encoded(examples)),
    }
    return upload(parts, share, url, token) if to is None else write(parts, Path(to) / name)


# What each library knows of a model


def reader_of(model):
    modules = {each.__module__.partition(".")[0] for each in type(model).__mro__}
    for library, reader in (("lightgbm", of_lightgbm), ("xgboost", of_xgboost), ("sklearn", of_sklearn)):
        if library in modules:
            return reader
    raise TypeError(f"{type(model).__name__} is no model of LightGBM, XGBoost or scikit-learn")


def of_lightgbm(model, taken, frame):
    booster = getattr(model, "booster_", model)
    # The levels are those of training, whatever the frame has now; both stop at the best iteration.
    levels = booster.pandas_categorical or []
    categories = dict(zip(categorical_columns(frame), levels))
    predictions = getattr(model, "predict_proba", model.predict)(taken)
    names = names_of(frame, booster.feature_name())
    content = booster.model_to_string().encode()
    return Fitted("model.txt", content, names, categories, predictions, getattr(model, "classes_", None))


def of_xgboost(model, taken, frame):
    import xgboost

    if isinstance(model, xgboost.Booster):
        booster, classes = model.copy(), None
        # Its predict asks all trees, where the server stops at the best iteration, as scikit-learn's interface does.
        booster.set_attr(best_iteration=None)
        matrix = xgboost.DMatrix(taken, feature_names=model.feature_names, enable_categorical=True)
        predictions = model.predict(matrix)
        if json.loads(model.save_config())["learner"]["objective"]["name"] == "multi:softmax":
            # It answers labels alone, where the server says how probable each is.
            odds = np.exp(model.predict(matrix, output_margin=True).astype(float))
            predictions = odds / odds.sum(axis=1, keepdims=True)
    else:
        booster, classes = model.get_booster(), getattr(model, "classes_", None)
        predictions = getattr(model, "predict_proba", model.predict)(taken)
    categories = {at: list(frame.iloc[:, at].cat.categories) for at in categorical_columns(frame)}
    content = bytes(booster.save_raw("ubj"))
    return Fitted("model.ubj", content, names_of(frame, booster.feature_names), categories, predictions, classes)


def of_sklearn(model, taken, frame):
    from skl2onnx import to_onnx
    from skl2onnx.common.data_types import FloatTensorType, StringTensorType

    classes = getattr(model, "classes_", None)
    if classes is not None and not hasattr(model, "predict_proba"):
        raise TypeError(f"{type(model).__name__} has no predict_proba: calibrate it (CalibratedClassifierCV)")
    categories = {at: levels_of(frame.iloc[:, at]) for at in range(frame.shape[1]) if is_text(frame.iloc[:, at])}
    names = names_of(frame, None)
    steps = [model, *model.get_params().values()]
    if categories or any(type(step).__name__ == "ColumnTransformer" for step in steps):
        kind = lambda at: StringTensorType if at in categories else FloatTensorType
        types = [(column, kind(at)([None, 1])) for at, column in enumerate(names)]
    else:
        types = [("features", FloatTensorType([None, len(names)]))]
    options = None if classes is None else {id(model): {"zipmap": False}}
    content = to_onnx(model, initial_types=types, options=options).SerializeToString()
    predictions = model.predict(taken) if classes is None else model.predict_proba(taken)
    kind = "regression" if classes is None else "classification"
    return Fitted("model.onnx", content, names, categories, predictions, classes, kind)


# Columns and their values


def names_of(frame, known):
    """As the model knows them, or as the frame has them where nobody named them to it."""
    columns = [str(column) for column in frame.columns]
    unnamed = known is None or all(each == f"Column_{at}" for at, each in enumerate(known))
    if not unnamed:
        return list(known)
    return [f"f{column}" if column.isdigit() else column for column in columns]


def categorical_columns(frame):
    return [at for at, dtype in enumerate(frame.dtypes) if isinstance(dtype, pd.CategoricalDtype)]


def is_text(column):
    values = column.cat.categories if isinstance(column.dtype, pd.CategoricalDtype) else column
    return not pd.api.types.is_numeric_dtype(values) and pd.api.types.infer_dtype(values, skipna=True) == "string"


def levels_of(column):
    is_category = isinstance(column.dtype, pd.CategoricalDtype)
    return list(column.cat.categories) if is_category else sorted(column.dropna().unique())


def text_of(value):
    """As JSON and the file of the model call it: true, and 1 for 1.0."""
    if isinstance(value, (bool, np.bool_)):
        return str(value).lower()
    is_whole = isinstance(value, (float, np.floating)) and float(value).is_integer()
    return str(int(value)) if is_whole else str(value)


def labels_of(classes):
    return None if classes is None else [text_of(each) for each in classes]


def cells_of(column, name, categories):
    if categories is not None:
        known = set(categories)
        texts = (None if pd.isna(each) else text_of(each) for each in column)
        # To the library too a category that was not there in training is missing.
        return [each if each in known else None for each in texts]
    if not pd.api.types.is_numeric_dtype(column.dtype) and not isinstance(column.dtype, pd.CategoricalDtype):
        raise TypeError(f'the column "{name}" is neither numbers nor categories, but {column.dtype}')
    return [None if pd.isna(each) else plain(float(each)) for each in column]


def plain(value):
    """As JSON can say it."""
    if isinstance(value, list):
        return [plain(each) for each in value]
    if not isinstance(value, float) or math.isfinite(value):
        return value
    return None if math.isnan(value) else "Inf" if value > 0 else "-Inf"


def encoded(document):
    return json.dumps(document, ensure_ascii=False, allow_nan=False).encode()


# Where it goes


def write(parts, folder):
    folder.mkdir(parents=True, exist_ok=True)
    for file, content in parts.values():
        (folder / file).write_bytes(content)
    forms = " ".join(f"-F {part}=@{folder / file}" for part, (file, _) in parts.items())
    print(f'curl "$QUINTET_URL/api/v1/models" -H "Authorization: Bearer $QUINTET_TOKEN" {forms}')
    return folder


def upload(parts, share, url, token):
    url = (url or os.environ.get("QUINTET_URL") or "http://localhost:8080").rstrip("/")
    token = token or os.environ.get("QUINTET_TOKEN")
    if not token:
        raise Refused("Nobody is signed in: give a token, or set QUINTET_TOKEN.")
    boundary = uuid.uuid4().hex
    body = b"".join(
        f'--{boundary}\r\nContent-Disposition: form-data; name="{part}"; filename="{file}"\r\n\r\n'.encode() + content + b"\r\n"
        for part, (file, content) in parts.items()
    )
    query = "" if share is None else "?" + urllib.parse.urlencode({"team": share})
    request = urllib.request.Request(
        f"{url}/api/v1/models{query}",
        body + f"--{boundary}--\r\n".encode(),
        {"Authorization": f"Bearer {token}", "Content-Type": f"multipart/form-data; boundary={boundary}"},
    )
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as response:
            answer = json.load(response)
            print(f"{url}{response.headers['Location']}")
            return answer["version"]
    except urllib.error.HTTPError as error:
        raise Refused(reason_of(error)) from None


def reason_of(error):
    text = error.read().decode(errors="replace")
    try:
        problem = json.loads(text)
        lines = [f"{each['pointer']}: {each['detail']}" for each in problem.get("errors", [])]
        return "\n".join([f"{problem['title']} ({error.code})", *(lines or [problem.get("detail", "")])])
    except (ValueError, KeyError, TypeError):
        return f"{error.code}: {text[:1000]}"
