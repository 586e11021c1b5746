"""The report of `e2egrec simulate`: what policies earn on simulated requests, and how models differ."""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tf_e2egrec.dataset.whole_file import write_whole
from tf_e2egrec.errors import E2EGRecError
from tf_e2egrec.evaluation.paired_differences import seed_difference, user_weights
from tf_e2egrec.evaluation.policy_outcomes import (
    POLICY_METRICS,
    SKIP_SECONDS,
    CandidateOutcomes,
    policy_metrics,
    policy_outcomes,
)
from tf_e2egrec.evaluation.report import as_json
from tf_e2egrec.evaluation.simulation_tables import simulation_markdown

SIMULATION_JSON, SIMULATION_MARKDOWN = "simulation.json", "simulation.md"
_REFERENCE = "R5"
_TAIL = 2.5  # per cent on each side of a 95 % interval

Scores = Mapping[str, Mapping[int, np.ndarray]]


def build_simulation(
    rows: CandidateOutcomes,
    models: Scores,
    bounds: Scores,
    context: Mapping[str, Any],
    slates: Sequence[int] = (1, 5),
    draws: int = 200,
    advance: Callable[[], object] = lambda: None,
) -> dict[str, Any]:
    """Everything that the tables show.

    Args:
      rows: outcomes of all candidates.
      models: model -> seed -> scores of the rows; every model with the same seeds.
      bounds: the same of policies that are no models, with seeds of their own.
      context: `dataset`, `regime`, and anything JSON-able.
      slates: exposures per request, each a scope of its own.
      draws: of the bootstrap over users.
      advance: called `len(slates) * draws` times.

    Returns:
      `simulation`: True. `context`, with `users`, `candidates`, `skip_seconds`, `bootstrap_draws`. `reference`: R5, or the last model
      without it. `policies`: slate -> policy -> `is_model`, `seeds`, and by metric (`POLICY_METRICS`) `mean` and `std` (sample
      deviation over seeds, NaN with one). `differences`: slate -> other model -> metric -> reference minus other: `difference` (mean
      over seeds), `low`, `high` (95 % bootstrap interval over users), `seed_error`, `seeds`, and `relative` to the other's mean.

    Raises:
      E2EGRecError: models have different seeds, or as `policy_outcomes`.
    """
    reference = _REFERENCE if _REFERENCE in models else list(models)[-1]
    for model, by_seed in models.items():
        if sorted(by_seed) != sorted(models[reference]):
            raise E2EGRecError(
                f"{model} has the seeds {sorted(by_seed)}, {reference} {sorted(models[reference])}: paired differences need the same "
                "seeds; train the missing ones"
            )
    users = np.unique(rows.user)
    policies: dict[str, Any] = {}
    differences: dict[str, Any] = {}
    for size in slates:
        sums = {
            name: [policy_outcomes(rows, by_seed[seed], size) for seed in sorted(by_seed)]
            for name, by_seed in (*bounds.items(), *models.items())
        }
        figures = {
            name: np.array([policy_metrics(one, np.ones(len(users))) for one in of_policy])
            for name, of_policy in sums.items()
        }
        policies[str(size)] = {name: _policy(values, name in models) for name, values in figures.items()}
        drawn = _bootstrap({name: sums[name] for name in models}, users, draws, advance)
        differences[str(size)] = {
            other: _difference(figures[reference], figures[other], drawn[reference] - drawn[other])
            for other in models
            if other != reference
        }
    about = {"users": len(users), "candidates": len(rows.user), "skip_seconds": SKIP_SECONDS}
    return {
        "simulation": True,
        "context": {**context, **about, "bootstrap_draws": draws},
        "reference": reference,
        "policies": policies,
        "differences": differences,
    }


def write_simulation(report: Mapping[str, Any], directory: Path) -> dict[str, Any]:
    """Write `simulation.json`, and `simulation.md` as a function of it alone; returns the report as JSON holds it."""
    text = json.dumps(as_json(report), indent=2, allow_nan=False) + "\n"
    read_back: dict[str, Any] = json.loads(text)
    directory.mkdir(parents=True, exist_ok=True)
    write_whole(directory / SIMULATION_JSON, text)
    write_whole(directory / SIMULATION_MARKDOWN, simulation_markdown(read_back))
    return read_back


def _policy(figures: np.ndarray, is_model: bool) -> dict[str, Any]:
    """Figures [seeds, metrics] -> mean and deviation of each metric."""
    several = len(figures) > 1
    deviation = figures.std(axis=0, ddof=1) if several else np.full(len(POLICY_METRICS), np.nan)
    of_metric = {
        metric: {"mean": float(mean), "std": float(std)}
        for metric, mean, std in zip(POLICY_METRICS, figures.mean(axis=0), deviation, strict=True)
    }
    return {"is_model": is_model, "seeds": len(figures), **of_metric}


def _bootstrap(
    sums: Mapping[str, Sequence[np.ndarray]], users: np.ndarray, draws: int, advance: Callable[[], object]
) -> dict[str, np.ndarray]:
    """Figures of each draw of users, averaged over seeds; float64 [draws, metrics] by model."""
    drawn: dict[str, list[np.ndarray]] = {name: [] for name in sums}
    for draw in range(draws):
        weights = user_weights(users, draw)
        for name, seeds in sums.items():
            drawn[name].append(np.mean([policy_metrics(one, weights) for one in seeds], axis=0))
        advance()
    return {name: np.array(values) for name, values in drawn.items()}


def _difference(reference: np.ndarray, other: np.ndarray, drawn: np.ndarray) -> dict[str, dict[str, float]]:
    """Figures [seeds, metrics] of two models and drawn differences [draws, metrics] -> the fields of each metric."""
    found = {}
    for column, metric in enumerate(POLICY_METRICS):
        fields = seed_difference(reference[:, column], other[:, column])
        low, high = np.nanpercentile(drawn[:, column], [_TAIL, 100 - _TAIL])
        mean = float(other[:, column].mean())
        relative = fields["difference"] / mean if mean else float("nan")
        found[metric] = fields | {"low": float(low), "high": float(high), "relative": relative}
    return found
