"""The evaluate stage: trained models and the test split in, a report out."""

import os
import platform
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import tensorflow as tf
from rich.progress import track

import tf_e2egrec
from tf_e2egrec.dataset.artefact import Manifest, fingerprint_of, publish, read_manifest, write_manifest
from tf_e2egrec.dataset.time_axis import day_names
from tf_e2egrec.errors import E2EGRecError
from tf_e2egrec.evaluation.report import build_report, evaluate_predictions, write_report
from tf_e2egrec.stages.run_directory import RunDirectory
from tf_e2egrec.stages.train import load_model, predict_split, read_subgraphs_manifest


def evaluate_models(run: RunDirectory) -> dict[str, Any]:
    """Evaluate every trained model on the test split and write RUN_DIR/evaluation.

    Args:
      run: the run directory.

    Returns:
      The report (see `build_report`); `report.json`, `report.md` and the predictions of each model are
      written.

    Raises:
      E2EGRecError: no model is trained, or one was trained on other subgraphs.
    """
    description = run.description()
    subgraphs = read_subgraphs_manifest(run)
    trained = run.trained_models()
    if not trained:
        raise E2EGRecError(f"{run.models} holds no trained model; run `e2egrec train` first")
    results: dict[str, dict[int, Any]] = {}
    with publish(run.evaluation) as staging:
        for name, seed, directory in track(trained, description="evaluate"):
            manifest = read_manifest(directory, "train", f"e2egrec train --models {name}")
            if manifest.upstream != subgraphs.fingerprint:
                raise E2EGRecError(
                    f"{directory} was trained on other subgraphs than those in {run.subgraphs}; train it again, or remove it"
                )
            tf.keras.backend.clear_session()
            rows = predict_split(load_model(directory), run, description, "test")
            pq.write_table(pa.table(rows), staging / f"predictions-{name}-seed-{seed}.parquet")
            results.setdefault(name, {})[seed] = evaluate_predictions(
                reward=rows["reward"],
                reward_probability=rows["predicted_reward"],
                user=rows["user"],
                day=day_names(rows["time"], description.time_is_rank),
                stay=rows["stay"] if description.has_stay else None,
                stay_seconds=rows["predicted_stay"] if description.has_stay else None,
            )
        report = build_report(results, _context(description.name, description.graph.regime))
        write_report(report, staging)
        write_manifest(staging, _manifest(trained, subgraphs))
    return report


def _context(dataset: str, regime: str) -> dict[str, Any]:
    return {
        "dataset": dataset,
        "regime": regime,
        "split": "test",
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "version": tf_e2egrec.__version__,
        "tensorflow": tf.__version__,
        "numpy": np.__version__,
    }


def _manifest(trained: list[tuple[str, int, Any]], subgraphs: Manifest) -> Manifest:
    models = {
        f"{name}/seed-{seed}": read_manifest(path, "train", "e2egrec train").fingerprint
        for name, seed, path in trained
    }
    return Manifest(
        stage="evaluate",
        configuration={},
        fingerprint=fingerprint_of("evaluate", models, subgraphs.fingerprint),
        inputs=subgraphs.inputs,
        upstream=subgraphs.fingerprint,
        newest_edge_time=subgraphs.newest_edge_time,
        details={"models": models},
    )
