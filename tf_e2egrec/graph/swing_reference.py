"""Swing by its definition, in plain Python: what the kernel is tested against."""

import itertools
import math
from collections.abc import Sequence

import numpy as np

from tf_e2egrec.dataset.description.swing_spec import SwingSpec
from tf_e2egrec.dataset.ids import hash_keys


def swing_reference(
    users: Sequence[int], items: Sequence[int], times: Sequence[int], spec: SwingSpec, seed: int = 0
) -> dict[int, list[tuple[int, float]]]:
    """Swing scores by arXiv 2010.05525, unordered user pairs.

    s(i, j) = sum over user pairs u < v, both in U_i and U_j, of w_u * w_v / (alpha2 + |I_u and I_v|).

    Args:
      users, items: keys of the interactions, with duplicates, in any order.
      times: when they happened.
      spec: parameters and caps.
      seed: of the anchor cap.

    Returns:
      anchor item -> its neighbours as (item, score), best first; anchors without a neighbour are absent.
    """
    alpha1, alpha2, beta = spec.coefficients
    histories = capped_histories(users, items, times, spec)
    weight = {user: 1.0 / (alpha1 + len(history)) ** beta for user, history in histories.items()}
    anchors = sorted({item for history in histories.values() for item in history})
    edges = {}
    for anchor in anchors:
        terms: dict[int, list[float]] = {}
        for u, v in itertools.combinations(_users_of(anchor, histories, spec.max_users_per_item, seed), 2):
            shared = histories[u] & histories[v]
            for item in shared - {anchor}:
                terms.setdefault(item, []).append(weight[u] * weight[v] / (alpha2 + len(shared)))
        scores = [(item, math.fsum(values)) for item, values in terms.items()]
        scores.sort(key=lambda pair: (-np.float32(pair[1]), pair[0]))
        if scores:
            edges[anchor] = scores[: spec.top]
    return edges


def capped_histories(
    users: Sequence[int], items: Sequence[int], times: Sequence[int], spec: SwingSpec
) -> dict[int, set[int]]:
    """The distinct items of each user, ordered by user: at least the minimum, at most the maximum (most
    recent)."""
    latest: dict[int, dict[int, int]] = {}
    for user, item, time in zip(users, items, times, strict=True):
        seen = latest.setdefault(user, {})
        seen[item] = max(time, seen.get(item, time))
    return {
        user: set(sorted(seen, key=lambda item: (-seen[item], item))[: spec.max_behaviours])
        for user, seen in sorted(latest.items())
        if len(seen) >= spec.min_behaviours
    }


def _users_of(anchor: int, histories: dict[int, set[int]], cap: int, seed: int) -> list[int]:
    """The users of an item by key; of a hot item those with the smallest hashes."""
    users = [user for user, history in histories.items() if anchor in history]
    users.sort(key=lambda user: (int(hash_keys(seed, user, anchor)), user))
    return sorted(users[:cap])
