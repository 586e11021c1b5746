"""Ranking all items for every user, and what the rankings are worth."""

from collections.abc import Sequence

import numpy as np
import scipy.sparse as sp
import tensorflow as tf

METRICS = ("recall", "ndcg", "mrr", "hit", "precision")
_SCORES_PER_BLOCK = 1 << 24  # 64 MiB


def evaluate_ranking(
    users: tf.Tensor,
    items: tf.Tensor,
    seen: sp.csr_array,
    relevant: sp.csr_array,
    top: Sequence[int] = (10, 20),
) -> dict[str, float]:
    """Rank all items that a user has not seen, for every user with a relevant one.

    Per user, with h_r = 1 where the item at rank r is relevant, n relevant items and a list of K: recall sum h_r / n; precision
    sum h_r / K; hit max h_r; MRR 1 / (rank of the first hit), 0 without one; NDCG sum h_r / log2(r + 1) over the same of the best
    possible list, which has min(n, K) hits. Means over users. Equal scores rank by position. Users go in blocks, so that memory
    does not grow with their number.

    Args:
      users: float32 [U, d].
      items: float32 [I, d].
      seen: CSR [U, I], what is left out of a user's ranking.
      relevant: CSR [U, I], what it should find.
      top: values of K.

    Returns:
      `recall@10` and so on, for each metric and K.

    Example:
      >>> user, items = tf.constant([[1.0]]), tf.constant([[3.0], [1.0], [2.0]])
      >>> seen, relevant = sp.csr_array(np.array([[1.0, 0, 0]])), sp.csr_array(np.array([[0, 1.0, 0]]))
      >>> evaluate_ranking(user, items, seen, relevant, top=[2])["mrr@2"]  # item 0 is seen, item 2 scores higher
      0.5
    """
    wanted = np.flatnonzero(np.diff(relevant.indptr))
    per_block = max(1, _SCORES_PER_BLOCK // max(relevant.shape[1], 1))
    sums = np.zeros((len(METRICS), len(top)))
    for start in range(0, len(wanted), per_block):
        rows = wanted[start : start + per_block]
        ranked = ranked_items(tf.gather(users, rows), items, seen[rows], max(top))
        sums += ranking_metrics(ranked, relevant[rows], top).sum(axis=2)
    means = sums / max(len(wanted), 1)
    return {
        f"{metric}@{k}": float(means[m, n]) for m, metric in enumerate(METRICS) for n, k in enumerate(top)
    }


def ranked_items(users: tf.Tensor, items: tf.Tensor, seen: sp.csr_array, depth: int) -> np.ndarray:
    """The `depth` unseen items of highest score for each user.

    Args:
      users: float32 [n, d].
      items: float32 [I, d].
      seen: CSR [n, I].
      depth: length of the lists.

    Returns:
      int64 [n, depth] positions, best first; -1 where a user has seen all others.
    """
    pairs = np.stack([np.repeat(np.arange(seen.shape[0]), np.diff(seen.indptr)), seen.indices], axis=1)
    scores, found = _best(users, items, pairs.astype(np.int64), min(depth, seen.shape[1]))
    ranked = np.where(np.isneginf(scores.numpy()), -1, found.numpy())
    return np.pad(ranked, ((0, 0), (0, depth - ranked.shape[1])), constant_values=-1).astype(np.int64)


@tf.function(reduce_retracing=True)
def _best(users: tf.Tensor, items: tf.Tensor, seen: tf.Tensor, depth: int) -> tuple[tf.Tensor, tf.Tensor]:
    scores = tf.matmul(users, items, transpose_b=True)
    lowest = tf.fill([tf.shape(seen)[0]], tf.constant(-np.inf, tf.float32))
    best = tf.math.top_k(tf.tensor_scatter_nd_update(scores, seen, lowest), k=depth)
    return best.values, best.indices


def ranking_metrics(ranked: np.ndarray, relevant: sp.csr_array, top: Sequence[int]) -> np.ndarray:
    """The metrics of each user.

    Args:
      ranked: int64 [n, depth] positions, best first; -1 is no item.
      relevant: CSR [n, I]; each row has an entry.
      top: values of K.

    Returns:
      float64 [metrics, K, n], in the order of `METRICS`.
    """
    count = np.diff(relevant.indptr)
    width = np.int64(relevant.shape[1])
    wanted = np.repeat(np.arange(len(count)), count) * width + relevant.indices
    place = np.arange(len(count))[:, np.newaxis] * width + ranked
    hits = np.isin(place, wanted) & (ranked >= 0)
    rank = np.arange(1, ranked.shape[1] + 1)
    discount = 1.0 / np.log2(rank + 1)
    best_possible = np.r_[0.0, np.cumsum(discount)]
    found = np.empty((len(METRICS), len(top), len(count)))
    for n, k in enumerate(top):
        hit = hits[:, :k]
        number = hit.sum(axis=1)
        found[:, n] = (
            number / count,
            hit @ discount[:k] / best_possible[np.minimum(count, k)],
            np.where(number > 0, 1.0 / (hit.argmax(axis=1) + 1), 0.0),
            number > 0,
            number / k,
        )
    return found
