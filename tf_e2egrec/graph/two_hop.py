"""Two hops of LightGCN as one: the edges of the combined operator.

LightGCN (arXiv 2002.02126, eq. 4) is linear, so that two hops are one propagation over another matrix:

    Z = a_0 X + a_1 P X + a_2 P^2 X = a_0 X + (a_1 + a_2) C X,    C = (a_1 P + a_2 P^2) / (a_1 + a_2)

P is the row-normalised matrix of the edges; an item without neighbours sends itself its own state, as in `layers.light_gcn`.
"""

import dataclasses

import numba
import numpy as np

from tf_e2egrec.errors import E2EGRecError
from tf_e2egrec.graph.swing import SwingEdges


def two_hop_edges(edges: SwingEdges, top: int, hop_weights: tuple[float, float] = (0.5, 0.5)) -> SwingEdges:
    """The heaviest entries of every row of C.

    The diagonal is left out: it holds the return paths i -> j -> i (no path of one hop returns), which would only weigh
    the item's own state more, and a_0 does that already; the samplers never make an item its own neighbour. They divide a row by
    its sum, so that the share of the return paths goes to the other neighbours, in proportion.

    The samplers treat these weights as they treat Swing scores, P(v | u) ~ w ** `graph.sampling.beta`: with beta = 1 the average over
    all neighbours is that of C, with less the second hop's many light neighbours count more. `model.layer_weights` is
    (a_0, a_1 + a_2).

    C is never held whole: memory goes with the edges, given and kept, and time with the paths of two edges.

    Args:
      edges: of the whole snapshot, ordered by (target, -weight, source), each pair once, weights above 0.
      top: entries kept per row, at least 1; the heaviest as float32, ties broken by item key.
      hop_weights: (a_1, a_2), of which only the ratio matters.

    Returns:
      Edges in the same order; the weights of a row whose entries are all kept sum to 1 less its diagonal. Entries that are 0
      as float32 are no edges. `normalised` where the given edges have it.

    Raises:
      E2EGRecError: a hop weight is negative, or both are 0.

    Example: the path 1 -> 2 -> 3.
      >>> path = SwingEdges(np.array([1, 2]), np.array([2, 3]), np.array([9, 9], np.float32), None, {}, 0)
      >>> found = two_hop_edges(path, top=10)
      >>> list(zip(found.source.tolist(), found.target.tolist(), found.weight.tolist()))
      [(1, 2, 1.0), (1, 3, 0.5), (2, 3, 0.5)]
    """
    one, two = hop_weights
    if not (min(one, two) >= 0 and 0 < one + two < np.inf):
        raise E2EGRecError(
            f"the weights of the two hops must not be negative, nor both 0. Received: {hop_weights}"
        )
    nodes, number = np.unique(np.r_[edges.source, edges.target], return_inverse=True)
    source, target = number[: len(edges)].astype(np.int64), number[len(edges) :].astype(np.int64)
    weight = edges.weight.astype(np.float64)
    chance = weight / np.bincount(target, weight, minlength=len(nodes))[target]
    pointers = np.searchsorted(target, np.arange(len(nodes) + 1)).astype(np.int64)
    paths = np.bincount(target, 1.0 + np.diff(pointers)[source], minlength=len(nodes))
    start = np.r_[0, np.cumsum(np.minimum(paths, min(top, len(nodes)))).astype(np.int64)]
    found, value = np.empty(start[-1], np.int64), np.empty(start[-1], np.float32)
    counts = _fill_rows(
        pointers, source, chance, one / (one + two), two / (one + two), start, top, found, value
    )
    kept = np.arange(start[-1]) - np.repeat(start[:-1], np.diff(start)) < np.repeat(counts, np.diff(start))
    found, value = found[kept], value[kept]
    largest = value[np.repeat(np.cumsum(counts) - counts, counts)]  # a row's first
    return dataclasses.replace(
        edges,
        source=nodes[found],
        target=np.repeat(nodes, counts),
        weight=value,
        normalised=None if edges.normalised is None else value / largest,
        counters={**edges.counters, "edges": len(found), "items": int((counts > 0).sum())},
    )


@numba.njit(nogil=True, cache=True)
def _fill_rows(
    pointers: np.ndarray,
    source: np.ndarray,
    chance: np.ndarray,
    one: float,
    two: float,
    start: np.ndarray,
    top: int,
    found: np.ndarray,
    value: np.ndarray,
) -> np.ndarray:
    """Fill the rows of C, in order (-weight, number).

    Args:
      pointers: int64 [V + 1]; the edges of node i are `pointers[i]:pointers[i + 1]`.
      source: int64 [E] numbers of nodes.
      chance: float64 [E], the entries of P.
      one, two: a_1 and a_2, which sum to 1.
      start: int64 [V + 1]; the room of row i in the outputs is `start[i]:start[i + 1]`.
      top: entries kept per row.
      found, value: outputs, the numbers of the neighbours and their weights.

    Returns:
      int64 [V], entries per row.
    """
    size = len(pointers) - 1
    counts = np.zeros(size, np.int64)
    total, touched = np.zeros(size, np.float64), np.empty(size, np.int64)
    for row in range(size):
        n = 0
        for edge in range(pointers[row], pointers[row + 1]):
            middle = source[edge]
            first, last = pointers[middle], pointers[middle + 1]
            # A neighbour without neighbours keeps its own state in the second hop.
            old, new = total[middle], total[middle] + (one + two if first == last else one) * chance[edge]
            if old == 0.0 and new > 0.0:
                touched[n] = middle
                n += 1
            total[middle] = new
            share = two * chance[edge]
            for second in range(first, last):
                node = source[second]
                old, new = total[node], total[node] + share * chance[second]
                if old == 0.0 and new > 0.0:
                    touched[n] = node
                    n += 1
                total[node] = new
        total[row] = 0.0  # the return paths
        chosen = _heaviest(total, touched[:n], top)
        for place in range(len(chosen)):
            found[start[row] + place] = chosen[place]
            value[start[row] + place] = np.float32(total[chosen[place]])
        counts[row] = len(chosen)
        total[touched[:n]] = 0.0
    return counts


@numba.njit(nogil=True, cache=True)
def _heaviest(total: np.ndarray, nodes: np.ndarray, top: int) -> np.ndarray:
    """The `top` nodes of the largest float32 totals above 0, heaviest first, ties by number; int64."""
    weight = total[nodes].astype(np.float32)
    least = np.float32(0.0)
    if len(nodes) > top:
        least = np.partition(weight, len(nodes) - top)[len(nodes) - top]
    near = np.sort(nodes[(weight >= least) & (weight > 0)])
    order = np.argsort(-total[near].astype(np.float32), kind="mergesort")  # stable
    return near[order[:top]]
