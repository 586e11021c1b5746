"""The evaluate stage: trained models and the test split in, a report out."""

import json
import os
import platform
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import tensorflow as tf

import tf_e2egrec
from tf_e2egrec.dataset.artefact import (
    Manifest,
    StaleArtefactError,
    fingerprint_of,
    publish,
    read_manifest,
    require_match,
    write_manifest,
)
from tf_e2egrec.dataset.description import DatasetDescription
from tf_e2egrec.dataset.time_axis import day_names
from tf_e2egrec.errors import E2EGRecError
from tf_e2egrec.evaluation.report import build_report, evaluate_predictions, write_report
from tf_e2egrec.stages.predict import predict_test
from tf_e2egrec.stages.run_directory import RunDirectory
from tf_e2egrec.stages.train import load_model, read_subgraphs_manifest


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
    subgraphs = read_subgraphs_manifest(run, description)
    models = _trained_models(run, subgraphs)
    results: dict[str, dict[int, Any]] = {}
    with publish(run.evaluation) as staging:
        for name, seed, directory in run.trained_models():
            tf.keras.backend.clear_session()
            rows = predict_test(load_model(directory), run, description, subgraphs, f"{name} seed {seed}")
            pq.write_table(pa.table(rows), staging / f"predictions-{name}-seed-{seed}.parquet")
            results.setdefault(name, {})[seed] = evaluate_predictions(
                reward=rows["reward"],
                reward_probability=rows["predicted_reward"],
                user=rows["user"],
                day=day_names(rows["time"], description.time_is_rank),
                stay=rows["stay"] if description.has_stay else None,
                stay_seconds=rows["predicted_stay"] if description.has_stay else None,
            )
        report = build_report(results, _context(description))
        write_report(report, staging)
        write_manifest(staging, _manifest(description, models, subgraphs))
    return report


def current_report(run: RunDirectory) -> dict[str, Any] | None:
    """The report in RUN_DIR/evaluation, or None where it is missing or out of date.

    Raises:
      E2EGRecError: as `evaluate_models`.
    """
    description = run.description()
    subgraphs = read_subgraphs_manifest(run, description)
    expected = _manifest(description, _trained_models(run, subgraphs), subgraphs)
    try:
        manifest = read_manifest(run.evaluation, "evaluate", "e2egrec evaluate")
        require_match(manifest, expected.fingerprint, run.evaluation, "e2egrec evaluate")
    except StaleArtefactError:
        return None
    report: dict[str, Any] = json.loads((run.evaluation / "report.json").read_text(encoding="utf-8"))
    return report


def _context(description: DatasetDescription) -> dict[str, Any]:
    return {
        "dataset": description.name,
        "regime": description.graph.regime,
        "protocol": description.evaluation.protocol,
        "split": "test",
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "version": tf_e2egrec.__version__,
        "tensorflow": tf.__version__,
        "numpy": np.__version__,
    }


def _trained_models(run: RunDirectory, subgraphs: Manifest) -> dict[str, str]:
    """`<model>/seed-<n>` -> fingerprint of every trained model.

    Raises:
      E2EGRecError: there is none, or one was trained on other subgraphs.
    """
    models = {}
    for name, seed, directory in run.trained_models():
        manifest = read_manifest(directory, "train", f"e2egrec train --models {name}")
        if manifest.upstream != subgraphs.fingerprint:
            raise E2EGRecError(
                f"{directory} was trained on other subgraphs than those in {run.subgraphs}; train it again, or remove it"
            )
        models[f"{name}/seed-{seed}"] = manifest.fingerprint
    if not models:
        raise E2EGRecError(f"{run.models} holds no trained model; run `e2egrec train` first")
    return models


def _manifest(description: DatasetDescription, models: dict[str, str], subgraphs: Manifest) -> Manifest:
    configuration = {
        "dataset": description.name,
        "evaluation": description.evaluation.model_dump(mode="json"),
        "models": models,
    }
    return Manifest(
        stage="evaluate",
        configuration=configuration,
        fingerprint=fingerprint_of("evaluate", configuration, subgraphs.fingerprint),
        inputs=subgraphs.inputs,
        upstream=subgraphs.fingerprint,
        newest_edge_time=subgraphs.newest_edge_time,
    )
