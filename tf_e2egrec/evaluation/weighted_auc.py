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
        is_positive = np.asarray(labels) > 0
        scores, cluster = np.asarray(scores), np.asarray(cluster).astype(np.int32)
        self._positives, positive_scores = _sorted(scores[is_positive], cluster[is_positive])
        self._negatives, negative_scores = _sorted(scores[~is_positive], cluster[~is_positive])
        # How many negatives lie below each positive, without and with those of its own score.
        self._below = np.searchsorted(negative_scores, positive_scores, side="left")
        self._not_above = np.searchsorted(negative_scores, positive_scores, side="right")

    def __call__(self, weights: np.ndarray) -> float:
        """The weighted AUC, ties counting 1/2.

        Args:
          weights: float64 [C], none negative.

        Returns:
          In [0, 1]; NaN where a class has no weight.
        """
        up_to = np.zeros(len(self._negatives) + 1)
        np.cumsum(weights[self._negatives], out=up_to[1:])
        positive = weights[self._positives]
        pairs = positive.sum() * up_to[-1]
        if not pairs > 0:
            return float("nan")
        return float(positive @ (up_to[self._below] + up_to[self._not_above]) / 2 / pairs)


def _sorted(scores: np.ndarray, cluster: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Clusters and scores, by score."""
    order = np.argsort(scores, kind="stable")
    return cluster[order], scores[order]
