"""The population stability index: how far the distribution of a value has moved."""

import numpy as np

_SMALLEST_SHARE = 1e-4  # of an empty cell, which would make the index infinite


def stability_index(before: np.ndarray, now: np.ndarray) -> float:
    """sum over cells of (q - p) ln(q / p), the sum of both Kullback-Leibler divergences.

    Up to 0.1 is usually called stable, beyond 0.25 moved. Under equal distributions, its expectation is about
    (cells - 1) (1 / rows before + 1 / rows now).

    Args:
      before, now: [k] counts of the same cells.

    Returns:
      At least 0; shares below 0.0001 count as 0.0001. NaN where one side has no row.

    Example:
      >>> round(stability_index(np.array([50, 50]), np.array([90, 10])), 4)
      0.8789
    """
    before, now = np.asarray(before, np.float64), np.asarray(now, np.float64)
    if before.sum() == 0 or now.sum() == 0:
        return float("nan")
    p = np.maximum(before / before.sum(), _SMALLEST_SHARE)
    q = np.maximum(now / now.sum(), _SMALLEST_SHARE)
    return float(((q - p) * np.log(q / p)).sum())


def numeric_cells(before: np.ndarray, now: np.ndarray, cells: int = 10) -> tuple[np.ndarray, np.ndarray]:
    """Count numbers by the quantiles of those before.

    Args:
      before, now: float or int [n], [m]; NaN: missing.
      cells: at most so many; fewer where values repeat.

    Returns:
      Counts of the same cells, int64 [k]; the last one is of the missing values.
    """
    before, now = np.asarray(before, np.float64), np.asarray(now, np.float64)
    known = before[np.isfinite(before)]
    shares = np.linspace(0, 1, cells + 1)[1:-1]
    # Values that occur: between two of them, rounding would decide.
    inner = np.quantile(known, shares, method="higher") if len(known) else np.zeros(0)
    edges = np.unique(inner)
    return _by_edge(before, edges), _by_edge(now, edges)


def _by_edge(values: np.ndarray, edges: np.ndarray) -> np.ndarray:
    missing = np.isnan(values)
    place = np.searchsorted(edges, values[~missing], side="left")
    return np.r_[np.bincount(place, minlength=len(edges) + 1), missing.sum()]


def category_cells(before: np.ndarray, now: np.ndarray, most: int = 20) -> tuple[np.ndarray, np.ndarray]:
    """Count categories: the most frequent ones of before and now together, and all others in one cell.

    Args:
      before, now: int64 [n], [m] keys.
      most: so many categories have a cell of their own.

    Returns:
      Counts of the same cells, int64 [k]; the last one is of all others.
    """
    keys, place = np.unique(np.r_[before, now], return_inverse=True)
    counts = [np.bincount(part, minlength=len(keys)) for part in (place[: len(before)], place[len(before) :])]
    shares = sum(count / max(1, count.sum()) for count in counts)
    # Ties by key, so that the cells do not depend on the order of rows.
    order = np.lexsort([keys, -np.asarray(shares)])
    own, others = order[:most], order[most:]
    first, second = (np.r_[count[own], count[others].sum()] for count in counts)
    return first, second
