"""Fits small models and exports them to a server, as its users do; prints what the libraries say of rows, as JSON."""

import json
import sys
from pathlib import Path

import lightgbm as lgb
import numpy as np
import pandas as pd
import xgboost as xgb
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import RandomForestRegressor
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.svm import LinearSVC

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts"))
from export import Refused, export  # noqa: E402

url, token, folder = sys.argv[1:]
there = {"url": url, "token": token}
rng = np.random.default_rng(7)
ROWS, SHOWN = 600, 60
QUIET = {"verbose": -1, "num_threads": 1, "min_data_in_leaf": 5}
XGB = {"nthread": 1, "max_depth": 3, "tree_method": "hist", "seed": 7}


def category(values, categories):
    column = pd.Series(pd.Categorical(rng.choice(values, ROWS), categories))
    return column.mask(rng.random(ROWS) < 0.1)


users = pd.DataFrame({
    "plan": category(["basic", "plus", "pro"], ["pro", "basic", "plus", "sold out"]),
    "city": category(["Køln", "“Rome”", "Oslo"], ["Oslo", "“Rome”", "Køln"]),
    "floors": category([1, 2, 5], [5, 1, 2]),
    "age in years": rng.normal(40, 9, ROWS),
    "is_new": rng.random(ROWS) < 0.3,
})
users.loc[rng.random(ROWS) < 0.2, "age in years"] = np.nan
score = (
    users["plan"].map({"basic": 0.0, "plus": 1.0, "pro": 2.0}).astype(float).fillna(0.7)
    + users["city"].map({"Oslo": 0.0, "“Rome”": 1.5, "Køln": 3.0}).astype(float).fillna(1)
    + users["floors"].map({1: 0.0, 2: -1.0, 5: 1.0}).astype(float).fillna(0)
    + users["age in years"].fillna(20) / 20 + users["is_new"] + rng.normal(0, 0.4, ROWS)
)
groups = np.digitize(score, score.quantile([0.3, 0.7]))
words = np.array(["stays", "leaves", "wavers"])[groups]
matrix = rng.normal(size=(ROWS, 3))
is_up = matrix[:, 0] + matrix[:, 1] * rng.normal(size=ROWS) > 0
said, rounds = {}, {}


def rows_of(data, names):
    def cell(value):
        if pd.isna(value):
            return None
        return int(value) if isinstance(value, (bool, np.bool_)) else value.item() if hasattr(value, "item") else value

    records = data.itertuples(index=False) if isinstance(data, pd.DataFrame) else data
    return [{name: cell(value) for name, value in zip(names, row)} for row in records][:SHOWN]


def exported(name, model, data, predictions, names=None, **manifest):
    version = export(model, name, data, **there, **manifest)
    rows = rows_of(data, names or data.columns)
    said[name] = {"version": version, "rows": rows, "predictions": np.asarray(predictions)[:SHOWN].tolist()}


def lightgbm():
    named = [each.replace(" ", "_") for each in users]  # LightGBM takes no spaces in names.
    train = lgb.Dataset(users[:400], score[:400])
    stopped = lgb.train(
        {**QUIET, "learning_rate": 0.5}, train, 300, valid_sets=lgb.Dataset(users[400:], score[400:], reference=train),
        callbacks=[lgb.early_stopping(5, verbose=False)], keep_training_booster=True,  # Otherwise none but the best are kept.
    )
    rounds["LightGBM"] = [stopped.best_iteration, stopped.current_iteration()]
    exported("lightgbm-booster", stopped, users, stopped.predict(users), named)
    classifier = lgb.LGBMClassifier(n_estimators=15, **QUIET).fit(users, words)
    exported("lightgbm-classes", classifier, users, classifier.predict_proba(users), named, metrics={"auc": 0.9})
    plain = lgb.LGBMClassifier(n_estimators=15, **QUIET).fit(matrix, is_up)
    exported("lightgbm-matrix", plain, matrix, plain.predict_proba(matrix), ["f0", "f1", "f2"])


def xgboost():
    train = xgb.DMatrix(users[:400], groups[:400] > 0, enable_categorical=True)
    held = xgb.DMatrix(users[400:], groups[400:] > 0, enable_categorical=True)
    whole = xgb.DMatrix(users, enable_categorical=True)
    stopping = {"num_boost_round": 60, "evals": [(held, "held")], "early_stopping_rounds": 3, "verbose_eval": False}
    # This one predicts by all of its rounds, whatever the best was; the next by its best ones.
    booster = xgb.train({**XGB, "eta": 0.9, "objective": "binary:logistic"}, train, **stopping)
    rounds["Booster"] = [booster.best_iteration + 1, booster.num_boosted_rounds()]
    exported("xgboost-booster", booster, users, booster.predict(whole), classes=["stays", "leaves"])
    classifier = xgb.XGBClassifier(
        n_estimators=60, learning_rate=0.9, max_depth=3, n_jobs=1, tree_method="hist", enable_categorical=True, early_stopping_rounds=3
    ).fit(users[:400], groups[:400], eval_set=[(users[400:], groups[400:])], verbose=False)
    rounds["XGBClassifier"] = [classifier.best_iteration + 1, classifier.get_booster().num_boosted_rounds()]
    names = ["stays", "leaves", "wavers"]
    exported("xgboost-classes", classifier, users, classifier.predict_proba(users), classes=names)
    train = xgb.DMatrix(users, groups, enable_categorical=True)
    params = {**XGB, "objective": "multi:softmax", "num_class": 3}
    labels = xgb.train(params, train, 8)
    odds = xgb.train({**params, "objective": "multi:softprob"}, train, 8)
    exported("xgboost-labels", labels, users, odds.predict(whole), classes=names)
    plain = xgb.XGBRegressor(n_estimators=10, n_jobs=1).fit(matrix, matrix[:, 0] * 100)
    exported("xgboost-matrix", plain, matrix, plain.predict(matrix), ["f0", "f1", "f2"])


def sklearn():
    data = users[["plan", "age in years", "is_new"]].assign(city=users["city"].astype(object).where(users["city"].notna(), "Oslo"))
    data["plan"] = data["plan"].fillna("basic")
    scaled = Pipeline([("filled", SimpleImputer()), ("scaled", StandardScaler())])
    prepared = ColumnTransformer([
        ("numbers", scaled, ["age in years", "is_new"]), ("words", OneHotEncoder(handle_unknown="ignore"), ["city", "plan"]),
    ])
    pipeline = make_pipeline(prepared, LogisticRegression(max_iter=1000)).fit(data, words)
    exported("sklearn-pipeline", pipeline, data, pipeline.predict_proba(data), title="Scaled and encoded")
    forest = RandomForestRegressor(10, max_depth=5, random_state=7).fit(matrix, matrix[:, 0] * 100)
    exported("sklearn-matrix", forest, matrix, forest.predict(matrix), ["f0", "f1", "f2"])
    numbers = pd.DataFrame(matrix, columns=["height", "width in mm", "depth"])
    logistic = make_pipeline(StandardScaler(), LogisticRegression()).fit(numbers, is_up)
    exported("sklearn-numbers", logistic, numbers, logistic.predict_proba(numbers))


def refused(attempt):
    try:
        return f"taken: {attempt()}"
    except (Refused, TypeError) as refusal:
        return str(refusal)


lightgbm()
xgboost()
sklearn()
model = lgb.LGBMClassifier(n_estimators=5, **QUIET).fit(matrix, words)
times = users[["is_new"]].assign(when=pd.Timestamp("2026-01-01"))
timed = make_pipeline(ColumnTransformer([("new", "passthrough", ["is_new"])]), LogisticRegression()).fit(times, words)
said["rounds"] = rounds
said["again"] = [export(model, "again", matrix, **there), export(model, "again", matrix, **there)]
said["refused"] = {
    "by the server": refused(lambda: export(model, "refused", matrix, classes=["one"], metrics={"auc": "good"}, **there)),
    "without a token": refused(lambda: export(model, "refused", matrix, url=url)),
    "with a wrong token": refused(lambda: export(model, "refused", matrix, url=url, token="wrong")),
    "what gives no probabilities": refused(lambda: export(LinearSVC().fit(matrix, words), "refused", matrix, **there)),
    "what is no model": refused(lambda: export("model", "refused", matrix, **there)),
    "what is a time": refused(lambda: export(timed, "refused", times, **there)),
}
export(model, "by-curl", matrix, to=folder)  # It prints the line.
print(json.dumps(said))
