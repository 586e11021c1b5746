"""How the models of a comparison were trained, as curves: their histories, and the task weights over steps."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import tensorflow as tf

from tf_e2egrec.comparison.compare_directory import CompareDirectory
from tf_e2egrec.comparison.processes import PlannedRun

MOST_POINTS = 200
_METRICS = ("auc", "ltr_loss", "ssl_loss")
_WEIGHT = "task_weight/"


def read_curves(directory: CompareDirectory, runs: Sequence[PlannedRun]) -> dict[str, Any]:
    """The curves of finished runs; what was not recorded, or cannot be read, is left out: no figure depends on it.

    Args:
      directory: of the comparison.
      runs: all of them.

    Returns:
      label -> seed -> `history` and `weights`, each empty where nothing was recorded. `history`: `epoch` (1, 2, ...) and, by the
      names of Keras, AUC and losses of training and of validation (`val_`) at each epoch's end. `weights`, of models that
      GradNorm balanced: `step`, `tasks` (task -> its weight then) and `mean` (task -> average since the warm-up). Lists
      hold at most `MOST_POINTS` values.
    """
    curves: dict[str, dict[str, Any]] = {}
    for run in runs:
        trained = directory.trained(run.graph, run.model, run.seed)
        curves.setdefault(run.label, {})[str(run.seed)] = {
            "history": _history(trained / "history.json"),
            "weights": _weights(trained),
        }
    return curves


def thin(values: Sequence[Any], most: int = MOST_POINTS) -> list[Any]:
    """At most so many of the values, evenly spaced, the first and the last among them.

    Example:
      >>> thin([0, 1, 2, 3, 4, 5, 6], 3)
      [0, 3, 6]
    """
    if len(values) <= most:
        return list(values)
    return [values[round(place * (len(values) - 1) / (most - 1))] for place in range(most)]


def _history(path: Path) -> dict[str, list[Any]]:
    recorded = _read_json(path)
    wanted = [f"{split}{metric}" for metric in _METRICS for split in ("", "val_")]
    found = {name: recorded[name] for name in wanted if isinstance(recorded.get(name), list)}
    if not found:
        return {}
    epochs = list(range(1, 1 + min(map(len, found.values()))))
    return {"epoch": thin(epochs)} | {name: thin(values[: len(epochs)]) for name, values in found.items()}


def _weights(trained: Path) -> dict[str, Any]:
    """Only GradNorm leaves `task_weights.json`; the weights on the way there stand in the event files."""
    mean = _read_json(trained / "task_weights.json").get("task_weights")
    if not isinstance(mean, dict):
        return {}
    by_step: dict[int, dict[str, float]] = {}
    for path in sorted((trained / "tensorboard" / "diagnostics").glob("*tfevents*")):
        _add_weights(path, by_step)
    steps = thin([step for step, of_step in sorted(by_step.items()) if of_step.keys() >= mean.keys()])
    over_steps = {task: [by_step[step][task] for step in steps] for task in mean}
    return {"mean": mean, "step": steps, "tasks": over_steps}


def _add_weights(path: Path, by_step: dict[int, dict[str, float]]) -> None:
    """Read one event file; a training that went on after an interruption wrote a later one, whose values hold."""
    try:
        for record in tf.data.TFRecordDataset(str(path)).as_numpy_iterator():
            event = tf.compat.v1.Event.FromString(record)
            for value in event.summary.value:
                if value.tag.startswith(_WEIGHT):
                    task = value.tag.removeprefix(_WEIGHT)
                    weight = float(tf.make_ndarray(value.tensor))
                    by_step.setdefault(event.step, {})[task] = weight
    except tf.errors.DataLossError:  # cut short by an interruption: what stands before it counts
        return


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}
