"""Whether predicted probabilities come true: predicted against observed shares, and the expected calibration error."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from tf_e2egrec.evaluation.paired_differences import LabelledRows, Predicted
from tf_e2egrec.evaluation.report import spread

BINS = 20


def calibration_curve(labels: np.ndarray, probabilities: np.ndarray, bins: int = BINS) -> dict[str, Any]:
    """Rows in bins of about equal size by predicted probability.

    The edges are quantiles of the predictions, so equal predictions share a bin, and a bin that holds no row is left out.

    Args:
      labels: 0 or 1 [n].
      probabilities: predicted [n], in [0, 1].
      bins: the most bins.

    Returns:
      `rows`, `predicted` and `observed` (means of the bins, ascending by prediction), lists of one length; `ece`, the mean of
      |observed - predicted| over the bins weighted by their rows (NaN without rows).

    Example:
      >>> calibration_curve(np.array([0, 1, 1, 1]), np.array([0.25, 0.25, 0.5, 1.0]), bins=2)
      {'rows': [2, 2], 'predicted': [0.25, 0.75], 'observed': [0.5, 1.0], 'ece': 0.25}
    """
    if not len(labels):
        return {"rows": [], "predicted": [], "observed": [], "ece": float("nan")}
    p = probabilities.astype(np.float64)
    edges = np.quantile(p, np.linspace(0, 1, bins + 1))
    of_row = np.searchsorted(edges[1:-1], p)
    rows = np.bincount(of_row, minlength=bins)
    held = rows > 0
    rows = rows[held]
    predicted = np.bincount(of_row, p, bins)[held] / rows
    observed = np.bincount(of_row, labels.astype(np.float64), bins)[held] / rows
    error = float(np.average(np.abs(observed - predicted), weights=rows))
    return {
        "rows": rows.tolist(),
        "predicted": predicted.tolist(),
        "observed": observed.tolist(),
        "ece": error,
    }


def calibration_report(rows: LabelledRows, predicted: Predicted) -> dict[str, Any]:
    """The calibration of every model.

    Args:
      rows: labels of the test rows.
      predicted: model -> seed -> predictions of these rows.

    Returns:
      model -> `ece` and `mean_predicted` (`mean`, `std`, `n` over seeds), `observed` (the share of positives), and `per_seed`:
      seed -> what `calibration_curve` returned.
    """
    return {model: _of_model(rows, by_seed) for model, by_seed in predicted.items()}


def _of_model(rows: LabelledRows, by_seed: Mapping[int, Any]) -> dict[str, Any]:
    curves = {str(seed): calibration_curve(rows.reward, one.reward) for seed, one in sorted(by_seed.items())}
    return {
        "ece": spread([one["ece"] for one in curves.values()]),
        "mean_predicted": spread([float(one.reward.mean(dtype=np.float64)) for one in by_seed.values()]),
        "observed": float(rows.reward.mean(dtype=np.float64)),
        "per_seed": curves,
    }
