"""Adjacency lists as Arrow tables: columns `node`, `neighbour` (int64), `weight` (float32) and the edges' features."""

from collections.abc import Iterable

import numpy as np
import pyarrow as pa

from tf_e2egrec.graph.neighbour_table import NeighbourTable
from tf_e2egrec.subgraphs.arrow_block import column, pack, unpack


def heaviest_edges(blocks: Iterable[bytes], top: int) -> bytes:
    """Merge adjacency lists: each edge once, with its largest weight, and of each node the `top` heaviest edges.

    The result of merging parts, and then their results, is that of merging all at once.

    Args:
      blocks: packed tables.
      top: edges kept per node; ties go to the smaller neighbour.
    """
    table = unpack(list(blocks))
    node, neighbour, weight = (column(table, name) for name in ("node", "neighbour", "weight"))
    order = np.lexsort([-weight, neighbour, node])
    if ((np.diff(node[order]) == 0) & (np.diff(neighbour[order]) == 0)).any():
        order = np.lexsort([*_ranks_of_features(table), -weight, neighbour, node])
    node, neighbour = node[order], neighbour[order]
    kept = np.ones(len(order), bool)
    kept[1:] = (np.diff(node) != 0) | (np.diff(neighbour) != 0)
    order, node, neighbour = order[kept], node[kept], neighbour[kept]
    by_weight = np.lexsort([neighbour, -weight[order], node])
    order, node = order[by_weight], node[by_weight]
    starts = np.flatnonzero(np.r_[True, np.diff(node) != 0]) if len(node) else np.zeros(0, np.int64)
    rank = np.arange(len(node)) - np.repeat(starts, np.diff(np.r_[starts, len(node)]))
    return pack(table.take(pa.array(order[rank < top])))


def _ranks_of_features(table: pa.Table) -> list[np.ndarray]:
    """What decides between copies of an edge with equal weights: their features, as int64 [m] ranks."""
    names = [name for name in table.column_names if name.startswith("f:")]
    texts = (np.array([repr(value) for value in table.column(name).to_pylist()]) for name in names)
    return [np.unique(one, return_inverse=True)[1] for one in texts]


def neighbour_table(table: pa.Table) -> NeighbourTable:
    """The lists of a table that `heaviest_edges` made; row r of the table is edge r of the result."""
    node = column(table, "node")
    items, first = np.unique(node, return_index=True)
    indptr = np.r_[first, len(node)].astype(np.int64)
    return NeighbourTable(items, indptr, column(table, "neighbour"), column(table, "weight"))
