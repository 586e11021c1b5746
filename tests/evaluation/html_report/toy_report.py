"""A small report with everything in it, as `report.json` holds it."""

import json

import numpy as np

from tf_e2egrec.evaluation.comparison import build_comparison
from tf_e2egrec.evaluation.paired_differences import LabelledRows, Predictions
from tf_e2egrec.evaluation.report import as_json
from tf_e2egrec.evaluation.row_facts import RowFacts

MODELS = ("R0", "R1", "R3@x=<b>bold</b>", "R5", "R5-random-graph")
DAYS = ("2024-05-01", "2024-05-02")
DESCRIPTION = "name: toy  # <b>&amp; https://example.org\n"
COST = {
    "parameters": 1234,
    "frozen": 0,
    "seconds_per_step": 0.25,
    "training_seconds": 9.0,
    "refresh_seconds": 0.0,
    "peak_memory_mib": 1500.0,
}


def toy_report(models=MODELS, days=DAYS, seeds=2):
    """The report of random predictions, each model a little better than the one before it."""
    rng = np.random.default_rng(0)
    n = 600
    rows = LabelledRows(
        reward=rng.integers(0, 2, n),
        user=rng.integers(0, 60, n),
        day=np.array(days)[rng.integers(0, len(days), n)],
        stay=rng.lognormal(size=n),
    )
    predicted = {
        model: {
            seed: Predictions(
                np.clip(rng.random(n) * 0.8 + 0.05 * place * rows.reward, 0, 1), rng.lognormal(size=n)
            )
            for seed in range(seeds)
        }
        for place, model in enumerate(models)
    }
    facts = RowFacts(
        {"item_age": rng.integers(0, 48, n) * 3_600_000, "neighbours": rng.choice([0, 7], n)},
        {"mean of training": np.full(n, 1.5, "f4")},
        "swing",
    )
    context = {
        "dataset": "toy <i>",
        "regime": "cross-domain",
        "protocol": "rolling",
        "models": [f"{model}: what {model} is" for model in models],
        "machine": "x86_64, 2 cores",
        "jobs": 3,
    }
    costs = {model: dict.fromkeys(range(seeds), COST) for model in models}
    checks = [{"check": "edges are older", "graph": "swing", "looked_at": 1234}]
    report = build_comparison(rows, predicted, context, costs, checks, draws=5, facts=facts)
    report["curves"] = {model: {str(seed): _curves(model) for seed in range(seeds)} for model in models}
    report["configuration"] = {"graph": "swing", "text": DESCRIPTION}
    return json.loads(json.dumps(as_json(report), allow_nan=False))


def _curves(model):
    history = {
        "epoch": [1, 2, 3],
        "auc": [0.6, 0.7, 0.8],
        "val_auc": [0.61, 0.66, None],
        "ltr_loss": [0.7, 0.6, 0.5],
    }
    weights = {
        "mean": {"ssl": 0.25, "ltr": 1.75},
        "step": [0, 500, 1000],
        "tasks": {"ssl": [1.0, 0.3, 0.2], "ltr": [1.0, 1.7, 1.8]},
    }
    return {"history": history, "weights": weights if model.startswith("R5") else {}}
