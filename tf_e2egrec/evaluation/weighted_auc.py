"""`WeightedAuc`: the AUC of one set of scores under many weightings of clusters."""

import numpy as np


class WeightedAuc:
    """Sorts once, so that every weighting costs O(n).

    A row counts with the weight of its cluster (its user). Weights of 1 give the AUC; whole numbers give the AUC of the
    rows repeated so many times, which is what a bootstrap over clusters asks for.

    Args:
      labels: 0 or 1 [n].
      scores: numbers [n], no NaN.
      cluster: int [n] in [0, C).
    """

    def __init__(self, labels: np.ndarray, scores: np.ndarray, cluster: np.ndarray) -> None:
        order = np.argsort(scores, kind="stable")
        ordered = np.asarray(scores)[order]
        self._cluster = np.asarray(cluster)[order].astype(np.int32)
        self._is_positive = np.asarray(labels)[order] > 0
        starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]][: len(ordered)])
        self._ties = starts if len(starts) < len(ordered) else None

    def __call__(self, weights: np.ndarray) -> float:
        """The weighted AUC, ties counting 1/2.

        Args:
          weights: float64 [C], none negative.

        Returns:
          In [0, 1]; NaN where a class has no weight.
        """
        weight = weights[self._cluster]
        positive = np.where(self._is_positive, weight, 0.0)
        negative = weight - positive
        if self._ties is not None:
            positive, negative = np.add.reduceat(positive, self._ties), np.add.reduceat(negative, self._ties)
        pairs = positive.sum() * negative.sum()
        if not pairs > 0:
            return float("nan")
        below = np.cumsum(negative) - negative / 2
        return float(positive @ below / pairs)
