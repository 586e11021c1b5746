"""A random graph with the degrees of a given one: the control that says whether *which* items are linked matters."""

import dataclasses

import numba
import numpy as np

from tf_e2egrec.dataset.ids import KEY_BITS, hash_keys, mix64
from tf_e2egrec.graph.swing import SwingEdges

_SWAPS_PER_EDGE = 10  # attempts; each touches two edges, so that an edge has some twenty occasions to move


def rewired(edges: SwingEdges, seed: int, snapshot: int) -> SwingEdges:
    """Exchange neighbours between pairs of items until nothing but the degrees is left of the graph.

    Double edge swaps (Maslov and Sneppen, 2002): of two random edges a -> i and b -> j, b goes to i and a to j, unless that
    makes an item its own neighbour or a neighbour twice. Every item keeps its number of neighbours and their weights, every
    item is a neighbour as often as before, and neighbours stay in their domain. A graph that allows no swap (every item
    beside every other) comes back as it is: see the counter.

    Args:
      edges: of the whole snapshot, ordered by (target, -weight, source), each pair once.
      seed, snapshot: what the swaps depend on, besides the edges.

    Returns:
      Edges in the same order; counter `edges_in_common`: how many of them the given graph has, too.
    """
    nodes, number = np.unique(np.r_[edges.source, edges.target], return_inverse=True)
    source, target = number[: len(edges)].astype(np.int64), number[len(edges) :].astype(np.int64)
    first = np.flatnonzero(np.r_[True, target[1:] != target[:-1]][: len(target)])
    row = np.repeat(np.arange(len(first)), np.diff(np.r_[first, len(target)]))
    new = source.copy()
    _swap_sources(
        new,
        target,
        row,
        np.r_[first, len(target)].astype(np.int64),
        nodes >> KEY_BITS,
        np.uint64(hash_keys(seed, snapshot)),
        _SWAPS_PER_EDGE * len(new),
    )
    order = np.lexsort((new, -edges.weight, target))
    common = np.isin(target * len(nodes) + new, target * len(nodes) + source).sum()
    return dataclasses.replace(
        edges,
        source=nodes[new[order]] if len(new) else edges.source,
        counters={**edges.counters, "edges_in_common": int(common)},
    )


@numba.njit(nogil=True, cache=True)
def _swap_sources(
    source: np.ndarray,
    target: np.ndarray,
    row: np.ndarray,
    pointers: np.ndarray,
    domain: np.ndarray,
    state: np.uint64,
    attempts: int,
) -> None:
    """Swap in place.

    Args:
      source, target: int64 [E] numbers of nodes; the edges of a target are adjacent.
      row: int64 [E], number of the edge's target among the targets.
      pointers: int64 [R + 1]; edges of row r are `pointers[r]:pointers[r + 1]`.
      domain: int64 [V] of the nodes.
      state: of the generator.
      attempts: number of pairs that are drawn.
    """
    count = np.uint64(len(source))
    for attempt in range(attempts):
        one = np.int64(mix64(state + np.uint64(2 * attempt)) % count)
        other = np.int64(mix64(state + np.uint64(2 * attempt + 1)) % count)
        a, b = source[one], source[other]
        if a == b or row[one] == row[other] or domain[a] != domain[b]:
            continue
        if b == target[one] or a == target[other]:
            continue
        if _holds(source, pointers, row[one], b) or _holds(source, pointers, row[other], a):
            continue
        source[one], source[other] = b, a


@numba.njit(nogil=True, cache=True)
def _holds(source: np.ndarray, pointers: np.ndarray, row: int, node: int) -> bool:
    """Whether a node is among the sources of a row."""
    for position in range(pointers[row], pointers[row + 1]):  # noqa: SIM110  compiled
        if source[position] == node:
            return True
    return False
