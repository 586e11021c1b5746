"""Interactions to matrices of users and items: which pairs train, validate and test."""

from typing import NamedTuple

import numpy as np
import scipy.sparse as sp

from tf_e2egrec.dataset.description.recommend_spec import RecommendSpec
from tf_e2egrec.dataset.ids import hash_keys
from tf_e2egrec.errors import E2EGRecError
from tf_e2egrec.retrieval.interactions import Interactions

_ROUNDING = 1e-9  # 0.29 * 100 is 28.999... in binary


class RetrievalSplit(NamedTuple):
    """Three matrices over the same users and items; a pair is in one of them at most.

    Attributes:
      user_keys, item_keys: int64 [U] and [I], ascending; positions are rows and columns.
      train, valid, test: float32 CSR [U, I] of ones, columns ascending within each row.
      counters: pairs and what was left out, by name.
    """

    user_keys: np.ndarray
    item_keys: np.ndarray
    train: sp.csr_array
    valid: sp.csr_array
    test: sp.csr_array
    counters: dict[str, int]


def split_interactions(
    interactions: Interactions, spec: RecommendSpec, seed: int, fixed_test: Interactions | None = None
) -> RetrievalSplit:
    """Split the distinct pairs of user and item; a pair that comes again counts once, at its first time.

    Args:
      interactions: the log.
      spec: how to split.
      seed: of `random`; the order is a hash of (seed, user, item).
      fixed_test: with `fixed`, what is tested; pairs that are trained, too, are left out there.

    Raises:
      E2EGRecError: nothing is left to train or to test.
    """
    pairs = _distinct(interactions)
    counters = {"interactions": len(interactions.user), "pairs": len(pairs.user)}
    if fixed_test is None:
        pairs = k_core(pairs, spec.core)
        counters["pairs_outside_the_core"] = counters["pairs"] - len(pairs.user)
        group, place, count = _places(pairs, seed, by_time=spec.split == "leave_last_out")
        tested = np.where(count >= 2, _share(count, spec.test_share, spec.split), 0)
    else:
        group, place, count = _places(pairs, seed, by_time=False)
        tested = np.zeros(len(count), np.int64)
    validated = np.where(
        (count >= 3) & (spec.valid_share > 0), _share(count, spec.valid_share, spec.split), 0
    )
    is_test = place < tested[group]
    is_valid = ~is_test & (place < (tested + validated)[group])
    test = pairs if fixed_test is None else _distinct(fixed_test)
    user_keys = np.unique(np.concatenate([pairs.user, test.user]))
    item_keys = np.unique(np.concatenate([pairs.item, test.item]))

    def matrix(chosen: Interactions) -> sp.csr_array:
        return _matrix(chosen, user_keys, item_keys)

    train, valid = matrix(_take(pairs, ~is_test & ~is_valid)), matrix(_take(pairs, is_valid))
    held = matrix(_take(pairs, is_test)) if fixed_test is None else _without(matrix(test), train + valid)
    if fixed_test is not None:
        counters["tested_pairs_that_are_trained"] = len(test.user) - held.nnz
    counters |= {"users": len(user_keys), "items": len(item_keys)}
    counters |= {"pairs_train": train.nnz, "pairs_valid": valid.nnz, "pairs_test": held.nnz}
    if not train.nnz or not held.nnz:
        what = "train on" if not train.nnz else "test"
        raise E2EGRecError(
            f"no pair of user and item is left to {what}: {counters['pairs']} distinct pairs, `recommend.core` {spec.core}; "
            "lower `recommend.core`, or give more data"
        )
    return RetrievalSplit(user_keys, item_keys, train, valid, held, counters)


def k_core(pairs: Interactions, k: int) -> Interactions:
    """The largest part of distinct pairs in which every user and every item has at least k of them."""
    _, user = np.unique(pairs.user, return_inverse=True)
    _, item = np.unique(pairs.item, return_inverse=True)
    kept = np.ones(len(user), bool)
    while True:
        users, items = np.bincount(user[kept], minlength=1), np.bincount(item[kept], minlength=1)
        stays = np.zeros(len(user), bool)
        stays[kept] = (users[user[kept]] >= k) & (items[item[kept]] >= k)
        if stays.sum() == kept.sum():
            return _take(pairs, kept)
        kept = stays


def _share(count: np.ndarray, share: float, split: str) -> np.ndarray:
    """How many of `count` items are held out: int64, at least 1."""
    if split == "leave_last_out":
        return np.ones(len(count), np.int64)
    return np.maximum(np.floor(share * count + _ROUNDING).astype(np.int64), 1)


def _places(pairs: Interactions, seed: int, by_time: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(user of each pair from 0, the pair's place in the order in which that user's are held out, pairs per user)."""
    _, group, count = np.unique(pairs.user, return_inverse=True, return_counts=True)
    hashed = hash_keys(seed, pairs.user, pairs.item)
    order = np.lexsort((hashed, -pairs.time, group) if by_time else (hashed, group))
    place = np.empty(len(group), np.int64)
    place[order] = np.arange(len(group)) - np.repeat(np.cumsum(count) - count, count)
    return group, place, count


def _distinct(pairs: Interactions) -> Interactions:
    order = np.lexsort((pairs.time, pairs.item, pairs.user))
    user, item = pairs.user[order], pairs.item[order]
    first = np.ones(len(order), bool)
    first[1:] = (user[1:] != user[:-1]) | (item[1:] != item[:-1])
    return _take(pairs, order[first])


def _take(pairs: Interactions, rows: np.ndarray) -> Interactions:
    return Interactions(pairs.user[rows], pairs.item[rows], pairs.time[rows])


def _matrix(pairs: Interactions, user_keys: np.ndarray, item_keys: np.ndarray) -> sp.csr_array:
    places = np.searchsorted(user_keys, pairs.user), np.searchsorted(item_keys, pairs.item)
    shape = len(user_keys), len(item_keys)
    matrix = sp.coo_array((np.ones(len(pairs.user), np.float32), places), shape).tocsr()
    matrix.sort_indices()
    return matrix


def _without(matrix: sp.csr_array, other: sp.csr_array) -> sp.csr_array:
    left = (matrix - matrix.multiply(other > 0)).tocsr()
    left.eliminate_zeros()
    left.sort_indices()
    return left.astype(np.float32)
