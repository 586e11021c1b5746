"""The evaluate stage: trained models and a split in, a report out."""

import json
import os
import platform
from pathlib import Path
from typing import Any, Literal

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
from tf_e2egrec.stages.compared_model import ComparedModel, model_of
from tf_e2egrec.stages.damaged_files import naming_damaged_records, require_whole_files
from tf_e2egrec.stages.predict import predict_splits
from tf_e2egrec.stages.run_directory import RunDirectory
from tf_e2egrec.stages.train import load_model, read_subgraphs_manifest

Split = Literal["valid", "test"]


def evaluation_directory(run: RunDirectory, split: Split) -> Path:
    """Where the report of a split stands: RUN_DIR/evaluation, or RUN_DIR/evaluation-valid."""
    return run.evaluation if split == "test" else run.evaluation.with_name(f"{run.evaluation.name}-{split}")


def evaluate_models(run: RunDirectory, split: Split = "test") -> dict[str, Any]:
    """Evaluate every trained model on a split and write its report.

    Args:
      run: the run directory.
      split: `valid` never reads the test split; its figures are there to choose by.

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
    require_whole_files(run.subgraphs, subgraphs, ("valid",) if split == "valid" else ("valid", "test"))
    with publish(evaluation_directory(run, split)) as staging, naming_damaged_records(run.subgraphs):
        for name, seed, directory in run.trained_models():
            tf.keras.backend.clear_session()
            network, own, label = load_model(directory), _described(name, description), f"{name} seed {seed}"
            rows = predict_splits(network, run, own, subgraphs, (split,), label)[split]
            pq.write_table(pa.table(rows), staging / f"predictions-{name}-seed-{seed}.parquet")
            results.setdefault(model_of(name), {})[seed] = evaluate_predictions(
                reward=rows["reward"],
                reward_probability=rows["predicted_reward"],
                user=rows["user"],
                day=day_names(rows["time"], description.time_is_rank),
                stay=rows["stay"] if description.has_stay else None,
                stay_seconds=rows["predicted_stay"] if description.has_stay else None,
            )
        report = build_report(results, _context(description, split))
        write_report(report, staging)
        write_manifest(staging, _manifest(description, models, subgraphs, split))
    return report


def current_report(run: RunDirectory, split: Split = "test") -> dict[str, Any] | None:
    """The report of a split, or None where it is missing or out of date.

    Raises:
      E2EGRecError: as `evaluate_models`.
    """
    description = run.description()
    subgraphs = read_subgraphs_manifest(run, description)
    expected = _manifest(description, _trained_models(run, subgraphs), subgraphs, split)
    directory = evaluation_directory(run, split)
    try:
        manifest = read_manifest(directory, "evaluate", "e2egrec evaluate")
        require_match(manifest, expected.fingerprint, directory, "e2egrec evaluate")
    except StaleArtefactError:
        return None
    report: dict[str, Any] = json.loads((directory / "report.json").read_text(encoding="utf-8"))
    return report


def _described(name: str, description: DatasetDescription) -> DatasetDescription:
    """The description that a model was trained by: a comparison's may have settings of their own, which its folder's name says."""
    return ComparedModel.parse(model_of(name)).described(description) if "@" in name else description


def _context(description: DatasetDescription, split: Split) -> dict[str, Any]:
    return {
        "dataset": description.name,
        "regime": description.graph.regime,
        "protocol": description.evaluation.protocol,
        "split": split,
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


def _manifest(
    description: DatasetDescription, models: dict[str, str], subgraphs: Manifest, split: Split
) -> Manifest:
    configuration: dict[str, Any] = {
        "dataset": description.name,
        "evaluation": description.evaluation.model_dump(mode="json"),
        "models": models,
    }
    if split != "test":
        configuration["split"] = split
    return Manifest(
        stage="evaluate",
        configuration=configuration,
        fingerprint=fingerprint_of("evaluate", configuration, subgraphs.fingerprint),
        inputs=subgraphs.inputs,
        upstream=subgraphs.fingerprint,
        newest_edge_time=subgraphs.newest_edge_time,
    )
