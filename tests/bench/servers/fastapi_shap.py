"""The usual way in Python: FastAPI, LightGBM and shap, once a request. Takes the folder of a model."""

import json
import os
import sys
import warnings
from pathlib import Path

import lightgbm as lgb
import numpy as np
import shap
import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel

warnings.filterwarnings("ignore")
folder = Path(sys.argv[1])
columns = [column["name"] for column in json.loads((folder / "manifest.json").read_text())["inputs"]]
booster = lgb.Booster(model_file=folder / "model.txt")
explainer = shap.TreeExplainer(booster)
app = FastAPI()


class Request(BaseModel):
    model_type: str
    features: list[dict[str, float | None]]
    explain: bool


@app.post("/api/v1/predict")
def predict(request: Request):
    rows = np.array([[row.get(column) for column in columns] for row in request.features], dtype=float)
    return {
        "predictions": booster.predict(rows).tolist(),
        "explanations": [dict(zip(columns, shares)) for shares in explainer.shap_values(rows).tolist()],
    }


uvicorn.run(app, host="127.0.0.1", port=int(os.environ["PORT"]), log_level="warning")
