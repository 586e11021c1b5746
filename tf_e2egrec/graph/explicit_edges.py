"""Explicit edges: what users did to items, one edge per pair."""

import numpy as np

from tf_e2egrec.graph.edge_table import EdgeTable

_SMALLEST_WEIGHT = np.finfo(np.float32).tiny  # a faded edge stays an edge


def explicit_edges(
    user: np.ndarray, item: np.ndarray, time: np.ndarray, valid_from: int, half_life: int | None = None
) -> EdgeTable:
    """One edge per (user, item) out of any number of events.

    The weight is the number of events or, with a half-life, the sum of `0.5 ** (age / half_life)` over them.

    Args:
      user: int64 [n] keys.
      item: int64 [n] keys.
      time: int64 [n], each before `valid_from`.
      valid_from: the moment that ages are counted to, `EventBlock.time` units.
      half_life: in the same units.

    Returns:
      Edges user -> item, in order of (user, item), with `time` (of the latest event, int64) and `weight`
      (float32, positive). The order of the rows changes nothing.
    """
    if len(user) == 0:
        none = np.zeros(0, np.int64)
        return EdgeTable(none, none, {"time": none, "weight": np.zeros(0, np.float32)})
    order = np.lexsort([time, item, user])
    user, item, time = user[order], item[order], time[order]
    starts = np.r_[True, (user[1:] != user[:-1]) | (item[1:] != item[:-1])]
    edge = np.cumsum(starts) - 1
    fading = np.ones(len(user)) if half_life is None else np.exp2((time - valid_from) / half_life)
    weight = np.maximum(np.bincount(edge, weights=fading), _SMALLEST_WEIGHT).astype(np.float32)
    first = np.flatnonzero(starts)
    last = np.r_[first[1:], len(user)] - 1
    return EdgeTable(user[first], item[first], {"time": time[last], "weight": weight})


def most_recent(node: np.ndarray, other: np.ndarray, time: np.ndarray, limit: int) -> np.ndarray:
    """The `limit` most recent edges of each node; equal times in order of the other end's key.

    The most recent of a whole are among the most recent of its parts, so parts may be capped first.

    Args:
      node: int64 [m], the end whose edges are counted.
      other: int64 [m], the other end.
      time: int64 [m].
      limit: edges kept per node, at least 1.

    Returns:
      bool [m], True for the edges kept.
    """
    kept = np.ones(len(node), bool)
    if len(node) > limit:
        order = np.lexsort([other, -time, node])
        ordered = node[order]
        index = np.arange(len(node))
        first = np.maximum.accumulate(np.where(np.r_[True, ordered[1:] != ordered[:-1]], index, 0))
        kept[order] = index - first < limit
    return kept
