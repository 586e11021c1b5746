"""Tuning: every model tries the same settings, and the validation split alone chooses."""

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from tf_e2egrec.comparison.compare_directory import CompareDirectory
from tf_e2egrec.comparison.one_run import TUNING_STAGE
from tf_e2egrec.comparison.plan import graph_of
from tf_e2egrec.comparison.processes import PlannedRun
from tf_e2egrec.dataset.artefact import read_manifest
from tf_e2egrec.dataset.description import DatasetDescription
from tf_e2egrec.dataset.description.comparison_spec import require_tunable
from tf_e2egrec.errors import E2EGRecError
from tf_e2egrec.stages.compared_model import ComparedModel

SEED = 0
Grid = Mapping[str, Sequence[Any]]
Trials = Mapping[str, Sequence[ComparedModel]]  # what reports call a model -> what it tries


def tuning_grid(options: Sequence[str], description: DatasetDescription) -> dict[str, list[Any]]:
    """The grid of `--tune KEY=V1,V2`, else that of `comparison.tuning`.

    Raises:
      E2EGRecError: an option is no KEY=V1,V2, a key is given twice, or may not be tuned.
    """
    grid: dict[str, list[Any]] = {}
    for option in options:
        key, _, values = (part.strip() for part in option.partition("="))
        try:
            require_tunable(key)
            found = yaml.safe_load(f"[{values}]")
        except ValueError as error:
            raise E2EGRecError(f"--tune: {error}") from None
        except yaml.YAMLError:
            found = []
        if not found:
            raise E2EGRecError(
                f"--tune: `{option}` should be KEY=V1,V2, as in training.learning_rate=0.001,0.003"
            )
        if key in grid:
            raise E2EGRecError(f"--tune: `{key}` is given twice; name all its values at once")
        grid[key] = found
    return grid or {key: list(values) for key, values in description.comparison.tuning.items()}


def trials_of(model: ComparedModel, grid: Grid, description: DatasetDescription) -> list[ComparedModel]:
    """The model with every combination of the grid; keys that it sets itself are left alone.

    Raises:
      E2EGRecError: a key or a value of the grid is wrong.
    """
    free = [key for key in grid if key not in model.overrides]
    combinations = itertools.product(*(grid[key] for key in free))
    made = [model.with_settings(dict(zip(free, values, strict=True)), description) for values in combinations]
    return list(dict.fromkeys(made))


def trial_runs(description: DatasetDescription, trials: Trials) -> list[PlannedRun]:
    """The runs that tuning needs, each once: two models may try the same."""
    models = dict.fromkeys(trial for of_model in trials.values() for trial in of_model)
    return [PlannedRun(trial.text, SEED, graph_of(trial, description), trial.text) for trial in models]


def choose(directory: CompareDirectory, trials: Trials) -> dict[str, ComparedModel]:
    """Of each model, the trial with the best validation AUC; of equal ones, the first in the grid.

    Args:
      directory: with the finished trials.
      trials: what each model tried.

    Returns:
      What reports call each model -> the chosen trial.

    Raises:
      E2EGRecError: no trial of a model has an AUC.
    """
    chosen = {}
    for label, of_model in trials.items():
        known = [(value, trial) for trial in of_model if (value := _valid_auc(directory, trial)) is not None]
        if not known:
            raise E2EGRecError(
                f"no setting of {label} has a validation AUC: every training diverged; try smaller learning rates"
            )
        chosen[label] = max(known, key=lambda one: one[0])[1]
    return chosen


def tuning_report(
    directory: CompareDirectory,
    description: DatasetDescription,
    grid: Grid,
    trials: Trials,
    chosen: Mapping[str, ComparedModel],
) -> dict[str, Any]:
    """What was tried and chosen, for `report.json`.

    Returns:
      `split`, `seed`, `keys`, and `models`: what reports call a model -> `chosen` (its settings by key) and `tried`, a list of
      `settings` and `valid_auc` (None where a training diverged).
    """
    models = {}
    for label, of_model in trials.items():
        tried = [
            {"settings": trial.settings_of(description, grid), "valid_auc": _valid_auc(directory, trial)}
            for trial in of_model
        ]
        models[label] = {"chosen": chosen[label].settings_of(description, grid), "tried": tried}
    return {"split": "valid", "seed": SEED, "keys": list(grid), "models": models}


def _valid_auc(directory: CompareDirectory, trial: ComparedModel) -> float | None:
    manifest = read_manifest(directory.validation(trial.text, SEED), TUNING_STAGE, "e2egrec compare")
    found: float | None = manifest.details["valid_auc"]
    return found
