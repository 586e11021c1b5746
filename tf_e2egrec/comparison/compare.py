"""The comparison itself: which runs are missing, and the report once none is."""

import os
import platform
import shutil
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import numpy as np
import pyarrow.parquet as pq
import tensorflow as tf

import tf_e2egrec
from tf_e2egrec.comparison.compare_directory import CompareDirectory
from tf_e2egrec.comparison.curves import read_curves
from tf_e2egrec.comparison.one_run import (
    PREDICTIONS_FILE,
    STAGE,
    TUNING_STAGE,
    is_finished,
    predictions_fingerprint,
    read_costs,
)
from tf_e2egrec.comparison.plan import graph_of, meaning_of
from tf_e2egrec.comparison.processes import PlannedRun
from tf_e2egrec.dataset.artefact import read_manifest
from tf_e2egrec.dataset.description import DatasetDescription
from tf_e2egrec.dataset.time_axis import day_names
from tf_e2egrec.errors import E2EGRecError
from tf_e2egrec.evaluation.comparison import build_comparison
from tf_e2egrec.evaluation.paired_differences import LabelledRows, Predictions
from tf_e2egrec.evaluation.row_facts import NO_FACTS, RowFacts
from tf_e2egrec.stages.compared_model import ComparedModel

_LABELS = ("time", "user", "item", "reward", "stay")
_GAUC_WEIGHTING = "by impressions; groups are (user, day); groups of one class are left out"


def planned_runs(
    description: DatasetDescription, models: Mapping[str, ComparedModel], seeds: int
) -> list[PlannedRun]:
    """Every model of every seed; all models of a seed before the next one, so that half a comparison is one, too.

    Args:
      description: as the user gave it.
      models: what reports call each model -> the model, with its tuned settings.
      seeds: how many.
    """
    return [
        PlannedRun(model.text, seed, graph_of(model, description), label)
        for seed in range(seeds)
        for label, model in models.items()
    ]


def missing_runs(
    directory: CompareDirectory, runs: Sequence[PlannedRun], split: Literal["valid", "test"] = "test"
) -> list[PlannedRun]:
    """The runs whose predictions of a split are not there, or were made from something else.

    Raises:
      E2EGRecError: the validation or the test split of a graph's subgraphs is empty.
    """
    stage, of_run = (
        (STAGE, directory.predictions) if split == "test" else (TUNING_STAGE, directory.validation)
    )
    missing = []
    for graph in dict.fromkeys(run.graph for run in runs):
        run_directory = directory.run(graph)
        described = run_directory.description()
        subgraphs = read_manifest(run_directory.subgraphs, "subgraphs", "e2egrec compare")
        for needed in ("valid", "test"):
            if not subgraphs.details["files"][needed]:
                raise E2EGRecError(
                    f"{run_directory.subgraphs / needed} holds no impressions: a comparison needs them; change `split` in the "
                    "description"
                )
        for run in runs:
            if run.graph == graph:
                model = ComparedModel.parse(run.model)
                expected = predictions_fingerprint(described, model, run.seed, subgraphs, stage)
                if not is_finished(of_run(run.model, run.seed), expected, stage):
                    missing.append(run)
    return [run for run in runs if run in missing]


def forget(directory: CompareDirectory, runs: Sequence[PlannedRun]) -> None:
    """Remove what these runs made, so that they are made again."""
    for run in runs:
        for made in (
            directory.predictions(run.model, run.seed),
            directory.validation(run.model, run.seed),
            directory.trained(run.graph, run.model, run.seed),
        ):
            shutil.rmtree(made, ignore_errors=True)


def read_predictions(
    directory: CompareDirectory, description: DatasetDescription, runs: Sequence[PlannedRun]
) -> tuple[LabelledRows, dict[str, dict[int, Predictions]]]:
    """The labels that all runs share, and what each predicts.

    Raises:
      E2EGRecError: two runs met other rows.
    """
    first: dict[str, np.ndarray] = {}
    predicted: dict[str, dict[int, Predictions]] = {}
    for run in runs:
        path = directory.predictions(run.model, run.seed) / PREDICTIONS_FILE
        table = pq.read_table(path)
        rows = {name: table.column(name).to_numpy() for name in table.column_names}
        first = first or rows
        for name in _LABELS:
            if not np.array_equal(rows[name], first[name], equal_nan=name == "stay"):
                raise E2EGRecError(
                    f"{path} holds other test rows than the predictions of {runs[0].label} seed {runs[0].seed} (`{name}` differs); "
                    "remove both and run `e2egrec compare` again"
                )
        stay = rows["predicted_stay"] if description.has_stay else None
        predicted.setdefault(run.label, {})[run.seed] = Predictions(rows["predicted_reward"], stay)
    labels = LabelledRows(
        reward=first["reward"],
        user=first["user"],
        day=day_names(first["time"], description.time_is_rank),
        stay=first["stay"] if description.has_stay else None,
    )
    return labels, predicted


def comparison_report(
    directory: CompareDirectory,
    description: DatasetDescription,
    runs: Sequence[PlannedRun],
    rows: LabelledRows,
    predicted: Mapping[str, Mapping[int, Predictions]],
    leak_checks: Sequence[Mapping[str, Any]],
    *,
    draws: int,
    jobs: int,
    advance: Callable[[], object],
    facts: RowFacts = NO_FACTS,
) -> dict[str, Any]:
    """The report of finished runs.

    Args:
      directory: of the comparison.
      description: as the user gave it.
      runs: all of them.
      rows, predicted: what `read_predictions` returned.
      leak_checks: what `check_leaks` returned, of every graph.
      draws: of the bootstrap.
      jobs: runs that were made side by side, for the note on costs.
      advance: called `steps_of` times.
      facts: what `read_row_facts` returned.

    Returns:
      What `build_comparison` returned, and: `curves` (see `read_curves`) and `configuration`, the `text` of the description
      file and the name of the `graph` that the reference model was made from.
    """
    costs: dict[str, dict[int, Any]] = {}
    for run in runs:
        costs.setdefault(run.label, {})[run.seed] = read_costs(
            directory, directory.run(run.graph), run.model, run.seed
        )
    meanings = [meaning_of(run.label, ComparedModel.parse(run.model)) for run in runs]
    context = {
        "dataset": description.name,
        "regime": description.graph.regime,
        "protocol": description.evaluation.protocol,
        "split": "test",
        "models": list(dict.fromkeys(meanings)),
        "gauc": _GAUC_WEIGHTING,
        "machine": f"{platform.machine()}, {os.cpu_count()} cores{_accelerators()}",
        "jobs": jobs,
        "version": tf_e2egrec.__version__,
        "tensorflow": tf.__version__,
        "numpy": np.__version__,
    }
    report = build_comparison(rows, predicted, context, costs, leak_checks, draws, advance, facts)
    graph = next(run.graph for run in runs if run.label == report["reference"])
    text = directory.run(graph).description_file.read_text(encoding="utf-8")
    return report | {
        "curves": read_curves(directory, runs),
        "configuration": {"graph": graph, "text": text},
    }


def _accelerators() -> str:
    """`, NVIDIA ...`; nothing without a GPU. The devices are named, not opened."""
    names = [
        tf.config.experimental.get_device_details(one).get("device_name", one.name)
        for one in tf.config.list_physical_devices("GPU")
    ]
    return "".join(f", {name}" for name in names)
