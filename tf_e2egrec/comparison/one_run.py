"""One run of a comparison: a model of one seed is trained, predicts the test split, and its cost is measured.

    python -m tf_e2egrec.comparison.one_run [--split valid] DIR GRAPH MODEL SEED

With `--split valid` it predicts the validation split instead, and never opens the test split: that is how settings are tuned.
`e2egrec compare` starts each run as a process of its own, so that memory is returned and no run sees the state of another.
"""

import argparse
import contextlib
import json
import statistics
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import tensorflow as tf

from tf_e2egrec.comparison.compare_directory import CompareDirectory
from tf_e2egrec.comparison.free_memory import peak_memory
from tf_e2egrec.comparison.labelled_run import LabelledRun
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
from tf_e2egrec.dataset.node_table import NodeTable
from tf_e2egrec.dataset.whole_file import write_whole
from tf_e2egrec.errors import E2EGRecError
from tf_e2egrec.evaluation.metrics import auc
from tf_e2egrec.models import E2EGRec
from tf_e2egrec.stages.compared_model import ComparedModel, file_name
from tf_e2egrec.stages.predict import predict_splits, predict_test
from tf_e2egrec.stages.run_directory import RunDirectory
from tf_e2egrec.stages.train import (
    balancing_callbacks,
    load_model,
    read_subgraphs_manifest,
    train_fingerprint,
    train_model,
)
from tf_e2egrec.subgraphs.feature_table import FeatureTable
from tf_e2egrec.subgraphs.impression_source import impressions
from tf_e2egrec.training.diverged_training_error import DivergedTrainingError

STAGE, TUNING_STAGE = "compare", "tune"
PREDICTIONS_FILE = "predictions.parquet"
_WARM_UP_STEPS, _TIMED_STEPS = 5, 30
_MIB = 1 << 20


def predictions_fingerprint(
    description: DatasetDescription, model: ComparedModel, seed: int, subgraphs: Manifest, stage: str = STAGE
) -> str:
    """The fingerprint that the predictions of a model trained on these subgraphs have.

    Args:
      description: of the graph; the model's settings come on top.
      model: what is trained.
      seed: of weights and shuffling.
      subgraphs: the manifest of the graph's subgraphs.
      stage: `STAGE`, or `TUNING_STAGE` for those of the validation split.
    """
    own = model.described(description)
    trained = train_fingerprint(own, model.variant, seed, subgraphs)
    return fingerprint_of(stage, trained, own.evaluation.model_dump(mode="json"))


def is_finished(directory: Path, fingerprint: str, stage: str = STAGE) -> bool:
    """Whether a directory holds the artefact of this stage and fingerprint."""
    try:
        require_match(
            read_manifest(directory, stage, "e2egrec compare"), fingerprint, directory, "e2egrec compare"
        )
    except StaleArtefactError:
        return False
    return True


def run_one(directory: CompareDirectory, run: RunDirectory, model: str, seed: int) -> Manifest:
    """Train a model, unless it is there, and publish its predictions.

    Args:
      directory: of the comparison.
      run: of the graph that the model needs, with its subgraphs.
      model: text of a `ComparedModel`.
      seed: of weights and shuffling.

    Returns:
      The manifest of the predictions; `details`: `seconds_per_step`.
    """
    made = _made_of(run, model, seed)
    _train(made, directory, model, seed)
    network = load_model(made.path)
    rows = predict_test(network, run, made.description, made.subgraphs)
    with publish(directory.predictions(model, seed)) as staging:
        pq.write_table(pa.table(rows), staging / PREDICTIONS_FILE)
        details = {"seconds_per_step": seconds_per_step(network, run, made.description)}
        manifest = _manifest(made, model, seed, STAGE, len(rows["reward"]), details)
        write_manifest(staging, manifest)
    return manifest


def validate_one(directory: CompareDirectory, run: RunDirectory, model: str, seed: int) -> Manifest:
    """Train a model, unless it is there, and publish its predictions of the validation split, by the description's protocol.

    Args:
      directory, run, model, seed: as in `run_one`.

    Returns:
      The manifest; `details`: `valid_auc`, None where the training diverged, of which there are no predictions.
    """
    made = _made_of(run, model, seed)
    rows: dict[str, np.ndarray] | None = None
    with contextlib.suppress(DivergedTrainingError):
        _train(made, directory, model, seed)
        network = load_model(made.path)
        rows = predict_splits(network, run, made.description, made.subgraphs, splits=("valid",))["valid"]
    details = {"valid_auc": None if rows is None else auc(rows["reward"], rows["predicted_reward"])}
    with publish(directory.validation(model, seed)) as staging:
        if rows is not None:
            pq.write_table(pa.table(rows), staging / PREDICTIONS_FILE)
        count = 0 if rows is None else len(rows["reward"])
        manifest = _manifest(made, model, seed, TUNING_STAGE, count, details)
        write_manifest(staging, manifest)
    return manifest


class _Made(NamedTuple):
    """What a model is made from, where it is or will be, and the fingerprint of its training."""

    description: DatasetDescription
    subgraphs: Manifest
    compared: ComparedModel
    labelled: LabelledRun
    path: Path
    fingerprint: str


def _made_of(run: RunDirectory, model: str, seed: int) -> _Made:
    compared = ComparedModel.parse(model)
    description = compared.described(run.description())
    subgraphs = read_subgraphs_manifest(run, description)
    labelled = LabelledRun(run.root, file_name(model))
    path = labelled.model(compared.variant, seed)
    fingerprint = train_fingerprint(description, compared.variant, seed, subgraphs)
    return _Made(description, subgraphs, compared, labelled, path, fingerprint)


def _train(made: _Made, directory: CompareDirectory, model: str, seed: int) -> None:
    """Train the model, unless it is there."""
    if not is_finished(made.path, made.fingerprint, "train"):
        trained = train_model(made.labelled, made.description, made.subgraphs, made.compared.variant, seed)
        _write_costs(directory.costs(model, seed), trained)


def _manifest(
    made: _Made, model: str, seed: int, stage: str, rows: int, details: Mapping[str, float | None]
) -> Manifest:
    return Manifest(
        stage=stage,
        configuration={"model": model, "seed": seed, "edges": made.description.graph.edges},
        fingerprint=predictions_fingerprint(made.description, made.compared, seed, made.subgraphs, stage),
        inputs=made.subgraphs.inputs,
        upstream=made.fingerprint,
        newest_edge_time=made.subgraphs.newest_edge_time,
        counters={"rows": rows},
        details=dict(details),
    )


def read_costs(directory: CompareDirectory, run: RunDirectory, model: str, seed: int) -> dict[str, Any]:
    """Parameters, seconds and memory of one finished run; None where nobody measured them."""
    trained = read_manifest(run.model(file_name(model), seed), "train", f"e2egrec compare --models {model}")
    path = directory.costs(model, seed)
    measured = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    if measured.get("fingerprint") != trained.fingerprint:
        measured = {}
    predicted = read_manifest(directory.predictions(model, seed), STAGE, "e2egrec compare")
    return {
        "parameters": trained.details["parameters"]["total"],
        "frozen": trained.details["parameters"]["frozen"],
        "seconds_per_step": predicted.details["seconds_per_step"],
        "training_seconds": measured.get("training_seconds"),
        "refresh_seconds": trained.details.get("pretraining", {"seconds": 0.0}).get("seconds"),
        "peak_memory_mib": measured.get("peak_memory_mib"),
        "peak_gpu_memory_mib": measured.get("peak_gpu_memory_mib"),
    }


def seconds_per_step(network: E2EGRec, run: RunDirectory, description: DatasetDescription) -> float:
    """Median wall time of a training step, input included. The network goes on training: nobody may use it afterwards."""
    items = NodeTable.read_parquet(run.subgraphs / "nodes" / "item.parquet")
    users = NodeTable.read_parquet(run.subgraphs / "nodes" / "user.parquet")
    tables = FeatureTable(items, description.item_features), FeatureTable(users, description.user_features)
    batches = impressions(run.subgraphs, "train", description, *tables, seed=0)
    timer = _StepTimer()
    callbacks = [*balancing_callbacks(description, network.variant), timer]
    network.fit(batches.take(_WARM_UP_STEPS + _TIMED_STEPS), epochs=1, verbose=0, callbacks=callbacks)
    steps = [after - before for before, after in zip(timer.ends[:-1], timer.ends[1:], strict=True)]
    timed = steps[_WARM_UP_STEPS:] or steps
    return statistics.median(timed) if timed else float("nan")


class _StepTimer(tf.keras.callbacks.Callback):
    """Notes when each step ended; a step lasts from the end of the one before."""

    def __init__(self) -> None:
        super().__init__()
        self.ends: list[float] = []

    def on_train_batch_end(self, batch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Note the time."""
        self.ends.append(time.perf_counter())


def _write_costs(path: Path, trained: Manifest) -> None:
    """Keep what this process needed up to here; a training that was interrupted counts from where it went on."""
    path.parent.mkdir(parents=True, exist_ok=True)
    measured = {
        "fingerprint": trained.fingerprint,
        "training_seconds": trained.details["seconds"],
        "peak_memory_mib": peak_memory() / _MIB,
        "peak_gpu_memory_mib": _peak_gpu_memory(),
    }
    write_whole(path, json.dumps(measured, indent=2) + "\n")


def _peak_gpu_memory() -> float | None:
    devices = tf.config.list_logical_devices("GPU")
    if not devices:
        return None
    return float(max(tf.config.experimental.get_memory_info(one.name)["peak"] for one in devices)) / _MIB


def main(argv: Sequence[str] | None = None) -> int:
    """Run one model; the exit code is 2 after a mistake that one sentence explains."""
    parser = argparse.ArgumentParser(prog="python -m tf_e2egrec.comparison.one_run")
    parser.add_argument("--split", choices=("valid", "test"), default="test")
    parser.add_argument("directory", type=Path)
    parser.add_argument("graph")
    parser.add_argument("model")
    parser.add_argument("seed", type=int)
    arguments = parser.parse_args(argv)
    directory, make = (
        CompareDirectory(arguments.directory),
        run_one if arguments.split == "test" else validate_one,
    )
    try:
        make(directory, directory.run(arguments.graph), arguments.model, arguments.seed)
    except E2EGRecError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
