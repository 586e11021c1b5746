"""From predictions to a report: metrics per model and seed, spread over seeds, gains over a baseline.

A metrics dict, as `evaluate_predictions` returns it, is `{"overall": METRICS, "days": {DAY: METRICS}}` with
METRICS a dict of floats and counts by the names in `METRICS`. A report is plain data (see `build_report`), so
that it survives JSON.
"""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tf_e2egrec.dataset.whole_file import write_whole
from tf_e2egrec.errors import E2EGRecError
from tf_e2egrec.evaluation.metrics import auc, gauc, logloss, mae, ndcg_at_k, xauc
from tf_e2egrec.evaluation.report_tables import render_markdown, render_report

__all__ = ["COUNTS", "METRICS", "build_report", "evaluate_predictions", "render_report", "write_report"]

METRICS = ("auc", "gauc", "gauc_coverage", "logloss", "ndcg@10", "stay_mae", "xauc")
COUNTS = ("impressions", "positives", "stay_rows")

Metrics = dict[str, float | int]


def evaluate_predictions(
    *,
    reward: np.ndarray,
    reward_probability: np.ndarray,
    user: np.ndarray,
    day: np.ndarray,
    stay: np.ndarray | None = None,
    stay_seconds: np.ndarray | None = None,
) -> dict[str, Any]:
    """Metrics over all rows and of each day. GAUC and NDCG@10 group by (user, day).

    Args:
      reward: 0 or 1 [n].
      reward_probability: predicted probability [n].
      user: int64 user keys [n].
      day: strings [n] such as `2024-05-01`.
      stay: seconds [n], NaN where unknown; None without stay labels.
      stay_seconds: predicted seconds [n]; None without stay labels or without a stay tower.

    Returns:
      `{"overall": {...}, "days": {day: {...}}}`, days in order. Metrics: `auc`, `gauc` (groups weighted by
      impressions), `gauc_coverage`, `logloss`, `ndcg@10`, `stay_mae` (seconds), `xauc`, NaN where undefined;
      counts: `impressions`, `positives`, `stay_rows` (rows with a stay label).

    Raises:
      E2EGRecError: there are no rows, lengths differ, or see `auc` and `logloss`.
    """
    reward, day, user = np.asarray(reward), np.asarray(day), np.asarray(user)
    n = len(reward)
    if not n:
        raise E2EGRecError("there is no impression to evaluate; check the dates in `split`")
    if stay is None or stay_seconds is None:
        stay, stay_seconds = np.full(n, np.nan), np.full(n, np.nan)
    columns = [reward, np.asarray(reward_probability), user, day, np.asarray(stay), np.asarray(stay_seconds)]
    if any(len(column) != n for column in columns):
        raise E2EGRecError(
            f"the columns to evaluate differ in length: {', '.join(str(len(c)) for c in columns)}"
        )
    day_names, day_number = np.unique(day, return_inverse=True)
    group = np.unique(user, return_inverse=True)[1] * len(day_names) + day_number
    values = [columns[0], columns[1], group, columns[4], columns[5]]
    order = np.argsort(day_number, kind="stable")
    bounds = np.searchsorted(day_number[order], np.arange(len(day_names) + 1))
    days = {
        str(name): _metrics(*(column[order[low:high]] for column in values))
        for name, low, high in zip(day_names, bounds[:-1], bounds[1:], strict=True)
    }
    return {"overall": _metrics(*values), "days": days}


def _metrics(
    reward: np.ndarray, probability: np.ndarray, group: np.ndarray, stay: np.ndarray, stay_seconds: np.ndarray
) -> Metrics:
    grouped = gauc(reward, probability, group)
    error, order = mae(stay, stay_seconds), xauc(stay, stay_seconds)
    return {
        "auc": auc(reward, probability),
        "gauc": grouped.value,
        "gauc_coverage": grouped.coverage,
        "logloss": logloss(reward, probability),
        "ndcg@10": ndcg_at_k(reward, probability, group, k=10).value,
        "stay_mae": error.value,
        "xauc": order.value,
        "impressions": len(reward),
        "positives": int(np.sum(reward)),
        "stay_rows": error.rows,
    }


def build_report(
    results: Mapping[str, Mapping[int, Mapping[str, Any]]], context: Mapping[str, Any], baseline: str = "R0"
) -> dict[str, Any]:
    """Mean and standard deviation over seeds, and gains over the baseline.

    Args:
      results: model -> seed -> what `evaluate_predictions` returned.
      context: what the figures belong to; `dataset` and `regime` are required, anything JSON-able may follow
        (machine, versions, ...).
      baseline: the model that gains are measured against; without it among the results there are no gains.

    Returns:
      `context`; `baseline` (None if absent); `counts` (of the overall rows and by day); `models`: model ->
      `seeds`, `overall` and `days` (metric -> `mean`, `std`, `n`; the sample deviation, NaN with one seed),
      `gain` and `day_gains` (None for the baseline; see `_gain` and `_day_gains`), `per_seed` (seed -> metrics, as given).

    Raises:
      E2EGRecError: context lacks the data set or the regime, or there are no results, or models were
        evaluated on different rows.
    """
    for key in ("dataset", "regime"):
        if not context.get(key):
            raise E2EGRecError(f"a report needs `{key}` in its context: no figure is given without it")
    if not results or not all(results.values()):
        raise E2EGRecError("there is nothing to report: no model has been evaluated")
    counts = _common_counts(results)
    models = {}
    for model, by_seed in results.items():
        seeds = sorted(by_seed)
        overall = {metric: spread([by_seed[s]["overall"][metric] for s in seeds]) for metric in METRICS}
        days = {
            day: {metric: spread([by_seed[s]["days"][day][metric] for s in seeds]) for metric in METRICS}
            for day in counts["days"]
        }
        compare = baseline in results and model != baseline
        models[model] = {
            "seeds": seeds,
            "overall": overall,
            "days": days,
            "gain": _gain(by_seed, results[baseline]) if compare else None,
            "day_gains": _day_gains(by_seed, results[baseline], list(counts["days"])) if compare else None,
            "per_seed": {str(seed): by_seed[seed] for seed in seeds},
        }
    return {
        "context": dict(context),
        "baseline": baseline if baseline in results else None,
        "counts": counts,
        "models": models,
    }


def _common_counts(results: Mapping[str, Mapping[int, Mapping[str, Any]]]) -> dict[str, Any]:
    """Counts of the rows that every model was evaluated on."""

    def counts_of(metrics: Mapping[str, Any]) -> dict[str, Any]:
        days = {day: {c: values[c] for c in COUNTS} for day, values in metrics["days"].items()}
        return {"overall": {c: metrics["overall"][c] for c in COUNTS}, "days": days}

    every = [
        (m, seed, counts_of(metrics)) for m, by_seed in results.items() for seed, metrics in by_seed.items()
    ]
    first_model, first_seed, first = every[0]
    for model, seed, counts in every:
        rows = [{day: c["impressions"] for day, c in one["days"].items()} for one in (counts, first)]
        if rows[0] != rows[1]:
            raise E2EGRecError(
                f"{model} (seed {seed}) and {first_model} (seed {first_seed}) were evaluated on "
                "different rows; evaluate them again"
            )
    return first


def spread(values: Sequence[float]) -> dict[str, float | int]:
    """Mean (NaN without values), sample standard deviation (NaN below two values) and number of values."""
    array = np.asarray(values, np.float64)
    if not len(array):
        return {"mean": float("nan"), "std": float("nan"), "n": 0}
    deviation = float(array.std(ddof=1)) if len(array) > 1 else float("nan")
    return {"mean": float(array.mean()), "std": deviation, "n": len(array)}


def _gain(
    model: Mapping[int, Mapping[str, Any]], baseline: Mapping[int, Mapping[str, Any]]
) -> dict[str, Any]:
    """The model against the baseline: mean, std, n over the seeds that both have (paired), else of the means.

    `auc`: difference of AUC; `auc_relative`: the same over the baseline's AUC; `auc_above_chance`: over the
    baseline's AUC - 0.5; `gauc`, `xauc`, `stay_mae`, `logloss`: differences. `within_noise`: |mean difference
    of AUC| is at most twice its standard error (None with fewer than two common seeds): then it is a null
    result.
    """
    common = sorted(set(model) & set(baseline))
    names = ("auc", "gauc", "logloss", "stay_mae", "xauc")
    if common:
        pairs = {m: [(model[s]["overall"][m], baseline[s]["overall"][m]) for s in common] for m in names}
    else:
        pairs = {
            m: [tuple(np.mean([r["overall"][m] for r in side.values()]) for side in (model, baseline))]
            for m in names
        }
    gain: dict[str, Any] = {m: spread([ours - theirs for ours, theirs in pairs[m]]) for m in names}
    gain |= {name: spread(ratios) for name, ratios in _relative(pairs["auc"]).items()}
    difference = gain["auc"]
    error = difference["std"] / math.sqrt(difference["n"])
    gain["within_noise"] = None if math.isnan(error) else bool(abs(difference["mean"]) <= 2 * error)
    gain["paired"] = bool(common)
    return gain


def _day_gains(
    model: Mapping[int, Mapping[str, Any]], baseline: Mapping[int, Mapping[str, Any]], days: Sequence[str]
) -> dict[str, Any]:
    """Relative gains of AUC day by day, over the seeds that both have.

    Returns:
      `auc_relative` and `auc_above_chance` as in `_gain`, each with `days` (day -> mean, std, n) and `mean` (mean, std, n of
      the seeds' means over the days on which the gain is defined).
    """
    common = sorted(set(model) & set(baseline))
    found: dict[str, Any] = {}
    by_day = {
        day: _relative([(model[s]["days"][day]["auc"], baseline[s]["days"][day]["auc"]) for s in common])
        for day in days
    }
    for name in ("auc_relative", "auc_above_chance"):
        values = np.array([by_day[day][name] for day in days]).reshape(len(days), len(common))
        known = values[~np.isnan(values).all(axis=1)]
        means = known.mean(axis=0).tolist() if len(known) else []
        of_days = {day: spread(of_day) for day, of_day in zip(days, values.tolist(), strict=True)}
        found[name] = {"days": of_days, "mean": spread(means)}
    return found


def _relative(pairs: Sequence[tuple[float, float]]) -> dict[str, list[float]]:
    """(AUC, the baseline's AUC) -> the gain over the baseline's AUC, and over what that has above chance."""
    return {
        "auc_relative": [_ratio(ours - theirs, theirs) for ours, theirs in pairs],
        "auc_above_chance": [_ratio(ours - theirs, theirs - 0.5) for ours, theirs in pairs],
    }


def _ratio(over: float, under: float) -> float:
    return float(over / under) if under else float("nan")


def write_report(report: Mapping[str, Any], directory: str | Path) -> Path:
    """Write `report.json` (full precision, NaN as null) and `report.md`, each replaced as a whole.

    Returns:
      The path of `report.json`.

    Raises:
      E2EGRecError: the folder cannot be written.
    """
    directory = Path(directory)
    texts = {
        "report.md": render_markdown(report),
        "report.json": json.dumps(as_json(report), indent=2, allow_nan=False) + "\n",
    }
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for name, text in texts.items():
            write_whole(directory / name, text)
    except OSError as error:
        raise E2EGRecError(
            f"the report cannot be written to {directory}: {error.strerror or error}"
        ) from error
    return directory / "report.json"


def as_json(value: Any) -> Any:
    """Plain Python values; NaN and infinities become None."""
    if isinstance(value, Mapping):
        return {str(key): as_json(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [as_json(one) for one in value]
    if isinstance(value, np.generic):
        return as_json(value.item())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if isinstance(value, (str, int, bool, type(None))) else str(value)
