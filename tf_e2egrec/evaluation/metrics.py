"""Metrics of ranking and of stay duration as pure numpy functions.

Labels are 0 or 1. Nothing depends on the order of the rows: ties are shared, not broken. A metric without a
single row (or pair) that can decide it is NaN. All arrays are one-dimensional and of equal length n.
"""

from typing import NamedTuple

import numpy as np

from tf_e2egrec.errors import E2EGRecError

_PROBABILITY_FLOOR = 1e-7


class GroupedMetric(NamedTuple):
    """A mean over groups.

    Attributes:
      value: the metric; NaN where no group counts.
      coverage: share of the impressions that lie in groups that count, in [0, 1]; NaN without impressions.
    """

    value: float
    coverage: float


class GroupValues(NamedTuple):
    """A metric group by group.

    Attributes:
      group: the G distinct groups, sorted.
      value: float64 [G], NaN where a group does not count.
      size: int64 [G] impressions.
    """

    group: np.ndarray
    value: np.ndarray
    size: np.ndarray


class MaskedMetric(NamedTuple):
    """A metric over the rows that have a label.

    Attributes:
      value: the metric; NaN where nothing decides it.
      rows: rows with a label.
      masked: rows left out, their target being NaN.
    """

    value: float
    rows: int
    masked: int


def auc(labels: np.ndarray, scores: np.ndarray) -> float:
    """Area under the ROC curve: the probability that a positive scores above a negative, ties counting 1/2.

    Args:
      labels: 0 or 1 [n].
      scores: numbers [n], any scale.

    Returns:
      In [0, 1]; NaN where one class is missing.

    Raises:
      E2EGRecError: lengths differ, a label is not 0 or 1, or a score is NaN.
    """
    labels, scores = _checked(labels, scores)
    return gauc(labels, scores, np.zeros(len(labels), np.int64)).value


def gauc(labels: np.ndarray, scores: np.ndarray, groups: np.ndarray) -> GroupedMetric:
    """Grouped AUC: sum_g n_g AUC_g / sum_g n_g over the groups g with both classes; n_g counts impressions.

    Groups with one class alone have no AUC and are left out; `coverage` is the share of impressions in the
    others.

    Args:
      labels: 0 or 1 [n].
      scores: numbers [n].
      groups: integers [n], such as the user, or user and day.

    Raises:
      E2EGRecError: as in `auc`.
    """
    each = auc_by_group(labels, scores, groups)
    counts = ~np.isnan(each.value)
    if not len(each.size):
        return GroupedMetric(np.nan, np.nan)
    if not counts.any():
        return GroupedMetric(np.nan, 0.0)
    covered = each.size[counts]
    value = float(np.average(each.value[counts], weights=covered))
    return GroupedMetric(value, float(covered.sum() / each.size.sum()))


def auc_by_group(labels: np.ndarray, scores: np.ndarray, groups: np.ndarray) -> GroupValues:
    """The AUC of each group, NaN where a class is missing; arguments and errors as in `gauc`."""
    labels, scores = _checked(labels, scores, groups)
    names, group = np.unique(groups, return_inverse=True)
    if not len(labels):
        return GroupValues(names, np.zeros(0), np.zeros(0, np.int64))
    order = np.lexsort((scores, group))
    group, labels, scores = group[order], labels[order], scores[order]
    size = np.bincount(group)
    first_of_group = np.cumsum(size) - size
    ties = _runs((group[1:] != group[:-1]) | (scores[1:] != scores[:-1]))
    tie_size = np.bincount(ties)
    middle = np.cumsum(tie_size) - (tie_size + 1) / 2  # zero-based mean row of each tie
    rank = middle[ties] - first_of_group[group] + 1
    positives = np.bincount(group, weights=labels)
    pairs = positives * (size - positives)
    wins = np.bincount(group, weights=rank * labels) - positives * (positives + 1) / 2
    return GroupValues(names, np.where(pairs > 0, wins / np.maximum(pairs, 1), np.nan), size)


def logloss(labels: np.ndarray, probabilities: np.ndarray) -> float:
    """Mean binary cross-entropy in nats; probabilities are cut to [1e-7, 1 - 1e-7].

    Args:
      labels: 0 or 1 [n].
      probabilities: [n] in [0, 1].

    Raises:
      E2EGRecError: as in `auc`, or a probability lies outside [0, 1].
    """
    labels, probabilities = _checked(labels, probabilities)
    if not len(labels):
        return float("nan")
    if probabilities.min() < 0 or probabilities.max() > 1:
        raise E2EGRecError(
            f"log loss needs probabilities; the scores run from {probabilities.min():g} "
            f"to {probabilities.max():g}"
        )
    p = np.clip(probabilities, _PROBABILITY_FLOOR, 1 - _PROBABILITY_FLOOR)
    return float(-np.mean(labels * np.log(p) + (1 - labels) * np.log1p(-p)))


def ndcg_at_k(labels: np.ndarray, scores: np.ndarray, groups: np.ndarray, k: int = 10) -> GroupedMetric:
    """Mean NDCG@k over the groups with a positive; gain = label, discount = 1 / log2(1 + place).

    Items of equal score share the mean discount of the places they occupy together, which is the expectation
    over random orders (scikit-learn's `ndcg_score` does the same).

    Args:
      labels: 0 or 1 [n].
      scores: numbers [n].
      groups: integers [n].
      k: places that count.

    Returns:
      The mean, and the share of impressions in groups with a positive.

    Raises:
      E2EGRecError: as in `auc`.
    """
    each = ndcg_by_group(labels, scores, groups, k)
    counts = ~np.isnan(each.value)
    if not len(each.size):
        return GroupedMetric(np.nan, np.nan)
    if not counts.any():
        return GroupedMetric(np.nan, 0.0)
    return GroupedMetric(float(np.mean(each.value[counts])), float(each.size[counts].sum() / each.size.sum()))


def ndcg_by_group(labels: np.ndarray, scores: np.ndarray, groups: np.ndarray, k: int = 10) -> GroupValues:
    """The NDCG@k of each group, NaN without a positive; arguments and errors as in `ndcg_at_k`."""
    labels, scores = _checked(labels, scores, groups)
    names, group = np.unique(groups, return_inverse=True)
    if not len(labels):
        return GroupValues(names, np.zeros(0), np.zeros(0, np.int64))
    order = np.lexsort((-scores, group))
    group, labels, scores = group[order], labels[order], scores[order]
    size = np.bincount(group)
    place = np.arange(len(group)) - (np.cumsum(size) - size)[group]
    discount = np.where(place < k, 1 / np.log2(place + 2.0), 0.0)
    ties = _runs((group[1:] != group[:-1]) | (scores[1:] != scores[:-1]))
    shared = np.bincount(ties, weights=discount) / np.bincount(ties)
    dcg = np.bincount(group, weights=labels * shared[ties])
    positives = np.bincount(group, weights=labels).astype(np.int64)
    ideal = np.concatenate([[0.0], np.cumsum(1 / np.log2(np.arange(min(k, size.max())) + 2.0))])
    best = ideal[np.minimum(positives, len(ideal) - 1)]
    return GroupValues(names, np.where(positives > 0, dcg / np.maximum(best, 1e-12), np.nan), size)


def mae(targets: np.ndarray, predictions: np.ndarray) -> MaskedMetric:
    """Mean absolute error in the arrays' unit (seconds); rows whose target is NaN are left out and counted.

    Raises:
      E2EGRecError: lengths differ, or a prediction of a labelled row is NaN.
    """
    targets, predictions, masked = _labelled(targets, predictions)
    value = float(np.mean(np.abs(targets - predictions))) if len(targets) else float("nan")
    return MaskedMetric(value, len(targets), masked)


def xauc(targets: np.ndarray, predictions: np.ndarray) -> MaskedMetric:
    """Share of the pairs with different targets that are ordered correctly; equal predictions count 1/2.

    Exact over all pairs, in O(n log n): the wrongly ordered pairs are the inversions of the predictions in
    target order. For binary targets it is the AUC. (XAUC: Zhan et al., arXiv 2206.06003, where pairs are
    sampled.)

    Args:
      targets: seconds [n]; rows with NaN are left out and counted.
      predictions: seconds, or any monotone score [n].

    Raises:
      E2EGRecError: lengths differ, or a prediction of a labelled row is NaN.
    """
    targets, predictions, masked = _labelled(targets, predictions)
    order = np.lexsort((predictions, targets))
    targets, predictions = targets[order], predictions[order]
    rank = np.unique(predictions, return_inverse=True)[1]
    comparable = _pairs(np.array([len(targets)])) - _pairs(np.unique(targets, return_counts=True)[1])
    if comparable == 0:
        return MaskedMetric(float("nan"), len(targets), masked)
    both_equal = (targets[1:] != targets[:-1]) | (predictions[1:] != predictions[:-1])
    tied = _pairs(np.bincount(rank)) - _pairs(np.bincount(_runs(both_equal)))
    wrong = _inversions(rank)
    return MaskedMetric((comparable - wrong - 0.5 * tied) / comparable, len(targets), masked)


def _pairs(sizes: np.ndarray) -> int:
    """Unordered pairs inside groups of these sizes."""
    sizes = sizes.astype(np.int64)
    return int((sizes * (sizes - 1) // 2).sum())


def _runs(changes: np.ndarray) -> np.ndarray:
    """Number of the run each row belongs to; `changes` [n - 1] is true where a new run begins."""
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(changes)])


def _inversions(rank: np.ndarray) -> int:
    """Pairs i < j with rank[i] > rank[j], for ranks 0, 1, ...

    A binary radix sort, highest bit first. Two values part at the highest bit in which they differ, and there
    they form an inversion when the one with the bit set comes first.
    """
    total = 0
    prefix_bits = int(rank.max()).bit_length() if len(rank) else 0
    rows = np.arange(len(rank))
    for bit in range(prefix_bits - 1, -1, -1):
        prefix = rank >> (bit + 1)  # equal prefixes are neighbours by now
        starts = np.flatnonzero(np.concatenate([[True], prefix[1:] != prefix[:-1]]))
        block = np.cumsum(np.concatenate([[False], prefix[1:] != prefix[:-1]]))
        one = (rank >> bit) & 1
        ones_before = np.cumsum(one) - one
        ones_before = ones_before - ones_before[starts][block]  # within the block
        zeros_before = rows - starts[block] - ones_before
        total += int(ones_before[one == 0].sum())
        zeros = np.bincount(block, weights=1 - one).astype(np.int64)
        place = starts[block] + np.where(one == 1, zeros[block] + ones_before, zeros_before)
        moved = np.empty_like(rank)
        moved[place] = rank
        rank = moved
    return total


def _checked(
    labels: np.ndarray, scores: np.ndarray, groups: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Labels and scores as float64, or an error that says what is wrong with them."""
    labels, scores = np.asarray(labels, np.float64), np.asarray(scores, np.float64)
    lengths = {len(labels), len(scores)} | ({len(groups)} if groups is not None else set())
    if len(lengths) > 1:
        raise E2EGRecError(f"labels, scores and groups must have one length. Received: {sorted(lengths)}")
    if not np.isin(labels, (0.0, 1.0)).all():
        raise E2EGRecError(
            "reward labels must be 0 or 1; declare the behaviour with `at_least` or `in` if it is graded"
        )
    _no_nan(scores)
    return labels, scores


def _labelled(targets: np.ndarray, predictions: np.ndarray) -> tuple[np.ndarray, np.ndarray, int]:
    """Targets and predictions (float64) of the rows whose target is known, and the number of the others."""
    targets, predictions = np.asarray(targets, np.float64), np.asarray(predictions, np.float64)
    if len(targets) != len(predictions):
        raise E2EGRecError(
            f"targets and predictions must have one length. Received: {len(targets)} and {len(predictions)}"
        )
    known = ~np.isnan(targets)
    _no_nan(predictions[known])
    return targets[known], predictions[known], int((~known).sum())


def _no_nan(predictions: np.ndarray) -> None:
    bad = int(np.isnan(predictions).sum())
    if bad:
        raise E2EGRecError(
            f"{bad} of {len(predictions)} predictions are NaN: training diverged; lower the learning rate"
        )
