"""Embedding rows for a vocabulary that has changed since the table was trained."""

import numpy as np

from tf_e2egrec.dataset.node_table import NodeTable
from tf_e2egrec.graph.neighbour_table import NeighbourTable


def grown_rows(
    old_keys: np.ndarray,
    old_rows: np.ndarray,
    new_keys: np.ndarray,
    fresh_rows: np.ndarray,
    neighbours: NeighbourTable | None = None,
    nodes: NodeTable | None = None,
) -> np.ndarray:
    """The rows of a new vocabulary: known keys keep theirs, new ones start among their like.

    A new key gets the mean of its neighbours' old rows, weighted as the edges are; without known neighbours, the mean, over its
    categorical features, of the mean row of the old keys of the same value (of a multi-valued feature: of any of its values);
    without those, its row of `fresh_rows`.

    Args:
      old_keys: int64 [m], increasing.
      old_rows: float [m + 1, d]; row 0 is that of unknown keys.
      new_keys: int64 [n], increasing.
      fresh_rows: float [n + 1, d], an untrained table.
      neighbours: of the keys, in the newest graph.
      nodes: the keys' features.

    Returns:
      As `fresh_rows`.

    Example: key 3 is new, its neighbour is 2; key 1 is forgotten.
      >>> rows = np.array([[0.0], [1.0], [5.0]])
      >>> edges = NeighbourTable.from_edges(source=[2], target=[3], weight=[1.0])
      >>> grown_rows(np.array([1, 2]), rows, np.array([2, 3]), np.zeros((3, 1)), edges).ravel().tolist()
      [0.0, 5.0, 5.0]
    """
    result = fresh_rows.copy()
    result[0] = old_rows[0]
    place = rows_in(old_keys, new_keys)
    known = place > 0
    result[1:][known] = old_rows[place[known]]
    fresh = np.flatnonzero(~known)
    if nodes is not None and len(fresh):
        found, mean = _mean_of_like(old_keys, old_rows, new_keys[fresh], nodes)
        result[1 + fresh[found]] = mean[found]
    if neighbours is not None and len(fresh):
        found, mean = _mean_of_neighbours(old_keys, old_rows, new_keys[fresh], neighbours)
        result[1 + fresh[found]] = mean[found]
    return result


def rows_in(keys: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Rows of keys in an embedding table of the increasing `keys`: from 1; 0 where a key is unknown. int64, shape of `wanted`."""
    if not len(keys):
        return np.zeros(wanted.shape, np.int64)
    place = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return np.where(keys[place] == wanted, place + 1, 0)


def _mean_of_neighbours(
    old_keys: np.ndarray, old_rows: np.ndarray, keys: np.ndarray, table: NeighbourTable
) -> tuple[np.ndarray, np.ndarray]:
    """Which keys have a neighbour with an old row, bool [k], and the weighted means [k, d]."""
    total, weights = np.zeros((len(keys), old_rows.shape[1])), np.zeros(len(keys))
    for i, row in enumerate(table.rows_of(keys)):
        if row < 0:
            continue
        edges = slice(table.indptr[row], table.indptr[row + 1])
        place = rows_in(old_keys, table.neighbours[edges])
        weight = np.where(place > 0, np.maximum(table.weights[edges], 0), 0).astype(np.float64)
        total[i], weights[i] = weight @ old_rows[place], weight.sum()
    return weights > 0, total / np.where(weights > 0, weights, 1)[:, np.newaxis]


def _mean_of_like(
    old_keys: np.ndarray, old_rows: np.ndarray, keys: np.ndarray, nodes: NodeTable
) -> tuple[np.ndarray, np.ndarray]:
    """Which keys share a feature's value with an old key, bool [k], and the means over such features [k, d]."""
    total, count = np.zeros((len(keys), old_rows.shape[1])), np.zeros(len(keys))
    for values in nodes.features.values():
        if values.dtype.kind != "i":
            continue
        columns = np.concatenate([values.reshape(len(nodes), -1), np.full((1, values[:1].size or 1), -1)])
        old, new = columns[nodes.lookup(old_keys)], columns[nodes.lookup(keys)]  # -1 is the last, missing row
        kinds, kind = np.unique(old, return_inverse=True)
        kind = kind.reshape(old.shape)
        sums, sizes = np.zeros((len(kinds), old_rows.shape[1])), np.zeros(len(kinds))
        for column in range(old.shape[1]):
            np.add.at(sums, kind[:, column], old_rows[1:])
            np.add.at(sizes, kind[:, column], 1)
        place = rows_in(kinds, new) - 1
        shared = (place >= 0) & (new >= 0)
        here = shared.sum(axis=1)
        means = sums[place] / sizes[place][..., np.newaxis]
        of_feature = (
            np.where(shared[..., np.newaxis], means, 0).sum(axis=1) / np.maximum(here, 1)[:, np.newaxis]
        )
        total += of_feature * (here > 0)[:, np.newaxis]
        count += here > 0
    return count > 0, total / np.maximum(count, 1)[:, np.newaxis]
