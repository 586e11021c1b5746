"""Numba kernel of the Swing scores.

The formulation is item-local: the scores of an anchor item need only the histories of its own users, so items
can be spread over threads and workers at will. Sums run in the order of the user keys alone, so that no
sharding changes a bit. Everything is pure and releases the GIL.
"""

from typing import NamedTuple

import numba
import numpy as np

from tf_e2egrec.graph.window_histories import WindowHistories

# Positions in the counters of `anchor_scores`.
PAIR_LOOKUPS, CONTRIBUTIONS, NEWEST_TIME = 0, 1, 2

_LOW_BITS = np.uint64(0xFFFFFFFF)


class _Neighbours(NamedTuple):
    """The other items that at least two users of the current anchor share: each has a number and a list of
    users.

    Attributes:
      code: int32 [V], 1 + the number of an item, 0 for all others.
      item: int32 [V], the item of each number.
      begin, end: int64 [V + 1], the list of each number in `_accumulate`'s `members`.
      score: float64 [V] by number.
      touched, shared: int32 [V], scratch.
    """

    code: np.ndarray
    item: np.ndarray
    begin: np.ndarray
    end: np.ndarray
    score: np.ndarray
    touched: np.ndarray
    shared: np.ndarray


@numba.njit(nogil=True, cache=True)
def anchor_scores(
    anchors: np.ndarray,
    offsets: np.ndarray,
    users: np.ndarray,
    histories: WindowHistories,
    n_items: int,
    top: int,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Swing scores of the anchors, the `top` best neighbours each (arXiv 2010.05525, unordered user pairs).

    Args:
      anchors: int32 [A] items, ascending.
      offsets: int64 [A + 1]; users of anchor a are `users[offsets[a]:offsets[a + 1]]`, ascending.
      users: int32.
      histories: of all these users.
      n_items: V.
      top: neighbours kept per anchor, ties (of float32 scores) broken by item.

    Returns:
      source int32 [E], target int32 [E], weight float32 [E], ordered by (target, -weight, source), and
      counters int64 [3]: user-pair look-ups m (m - 1), terms added, and the newest time of the users that
      gave a term.
    """
    counters = np.array([0, 0, np.iinfo(np.int64).min])
    neighbours = _Neighbours(
        np.zeros(n_items, np.int32),
        np.empty(n_items, np.int32),
        np.empty(n_items + 1, np.int64),
        np.empty(n_items + 1, np.int64),
        np.empty(n_items, np.float64),
        np.empty(n_items, np.int32),
        np.empty(n_items, np.int32),
    )
    members = np.empty(1024, np.int32)
    packed, targets = np.empty(1024, np.uint64), np.empty(1024, np.int32)
    filled = 0
    for index in range(len(anchors)):
        own = users[offsets[index] : offsets[index + 1]]
        counters[PAIR_LOOKUPS] += len(own) * (len(own) - 1)
        n_touched, n_neighbours = _number_neighbours(own, anchors[index], histories, neighbours)
        if n_neighbours > 0:
            if neighbours.begin[n_neighbours] > len(members):
                members = np.empty(2 * neighbours.begin[n_neighbours], np.int32)
            _accumulate(own, histories, neighbours, members, counters)
            best = _best(neighbours.score[:n_neighbours], neighbours.item[:n_neighbours], top)
            if filled + len(best) > len(packed):
                packed = np.append(packed[:filled], np.empty(filled + len(best), np.uint64))
                targets = np.append(targets[:filled], np.empty(filled + len(best), np.int32))
            packed[filled : filled + len(best)] = best
            targets[filled : filled + len(best)] = anchors[index]
            filled += len(best)
        for position in range(n_touched):
            neighbours.code[neighbours.touched[position]] = 0
    weights = (packed[:filled] >> np.uint64(32)).astype(np.uint32).view(np.float32)
    sources = (~packed[:filled] & _LOW_BITS).astype(np.int32)
    return sources, targets[:filled].copy(), weights, counters


@numba.njit(nogil=True, cache=True)
def _number_neighbours(
    own: np.ndarray, anchor: int, histories: WindowHistories, neighbours: _Neighbours
) -> tuple[int, int]:
    """Number the anchor's neighbours and lay out their empty lists; `code` must be zero.

    Returns:
      how many items the users have touched (the first in `touched`), and how many neighbours there are.
    """
    code, touched = neighbours.code, neighbours.touched
    n_touched, n_neighbours, filled = 0, 0, 0
    for user in own:
        for position in range(histories.pointers[user], histories.pointers[user + 1]):
            item = histories.items[position]
            if code[item] == 0:
                touched[n_touched] = item
                n_touched += 1
            code[item] += 1  # a count, for now
    for index in range(n_touched):
        item = touched[index]
        count = code[item]
        if count < 2 or item == anchor:
            code[item] = 0
            continue
        neighbours.item[n_neighbours] = item
        neighbours.begin[n_neighbours] = filled
        neighbours.end[n_neighbours] = filled
        neighbours.score[n_neighbours] = 0.0
        filled += count
        n_neighbours += 1
        code[item] = n_neighbours
    neighbours.begin[n_neighbours] = filled
    return n_touched, n_neighbours


@numba.njit(nogil=True, cache=True)
def _accumulate(
    own: np.ndarray,
    histories: WindowHistories,
    neighbours: _Neighbours,
    members: np.ndarray,
    counters: np.ndarray,
) -> None:
    """Add the terms of every user pair of one anchor to the scores of its neighbours.

    Users arrive in order, and each meets the earlier ones: one row of the overlap matrix is all that has to
    be held.

    Args:
      own: int32 [m] users of the anchor.
      histories: of these users.
      neighbours: numbered, with empty lists and zero scores.
      members: int32, room for the lists; they hold positions in `own`.
      counters: int64 [3].
    """
    begin, end, shared = neighbours.begin, neighbours.end, neighbours.shared
    weights = histories.weights[own]
    terms = np.empty(len(own), np.float64)
    overlap = np.ones(len(own), np.int32)  # with each earlier user; they all share the anchor
    for here in range(len(own)):
        user = own[here]
        n_shared, n_terms = 0, 0
        for position in range(histories.pointers[user], histories.pointers[user + 1]):
            number = neighbours.code[histories.items[position]] - 1
            if number >= 0:
                shared[n_shared] = number
                n_shared += 1
                n_terms += end[number] - begin[number]
        if n_shared == 0:
            continue
        counters[CONTRIBUTIONS] += n_terms
        counters[NEWEST_TIME] = max(counters[NEWEST_TIME], histories.newest[user])
        if n_terms > 0:
            numbers = shared[:n_shared]
            _count_overlap(numbers, neighbours, members, overlap)
            if n_terms > here:
                _add_dense(numbers, here, weights, histories.inverse, neighbours, members, overlap, terms)
            else:
                _add_sparse(numbers, here, weights, histories.inverse, neighbours, members, overlap)
        for index in range(n_shared):
            members[end[shared[index]]] = here
            end[shared[index]] += 1


@numba.njit(nogil=True, cache=True)
def _count_overlap(
    numbers: np.ndarray, neighbours: _Neighbours, members: np.ndarray, overlap: np.ndarray
) -> None:
    """Count the items that each earlier user shares with the present one."""
    for number in numbers:
        for position in range(neighbours.begin[number], neighbours.end[number]):
            overlap[members[position]] += 1


@numba.njit(nogil=True, cache=True)
def _add_dense(
    numbers: np.ndarray,
    here: int,
    weights: np.ndarray,
    inverse: np.ndarray,
    neighbours: _Neighbours,
    members: np.ndarray,
    overlap: np.ndarray,
    terms: np.ndarray,
) -> None:
    """Add the terms of the user `here` with all earlier ones, each formed once; resets `overlap`.

    Four partial sums hide the latency of the addition, in an order that depends on the list alone.
    """
    for other in range(here):
        terms[other] = weights[other] * inverse[overlap[other]]
        overlap[other] = 1
    for number in numbers:
        position, last = neighbours.begin[number], neighbours.end[number]
        sum_0, sum_1, sum_2, sum_3 = 0.0, 0.0, 0.0, 0.0
        while position + 4 <= last:
            sum_0 += terms[members[position]]
            sum_1 += terms[members[position + 1]]
            sum_2 += terms[members[position + 2]]
            sum_3 += terms[members[position + 3]]
            position += 4
        while position < last:
            sum_0 += terms[members[position]]
            position += 1
        neighbours.score[number] += weights[here] * ((sum_0 + sum_1) + (sum_2 + sum_3))


@numba.njit(nogil=True, cache=True)
def _add_sparse(
    numbers: np.ndarray,
    here: int,
    weights: np.ndarray,
    inverse: np.ndarray,
    neighbours: _Neighbours,
    members: np.ndarray,
    overlap: np.ndarray,
) -> None:
    """`_add_dense`, bit for bit, without touching users that share nothing but the anchor."""
    for number in numbers:
        position, last = neighbours.begin[number], neighbours.end[number]
        sums = (0.0, 0.0, 0.0, 0.0)
        while position + 4 <= last:
            a, b, c, d = (
                members[position],
                members[position + 1],
                members[position + 2],
                members[position + 3],
            )
            sums = (
                sums[0] + weights[a] * inverse[overlap[a]],
                sums[1] + weights[b] * inverse[overlap[b]],
                sums[2] + weights[c] * inverse[overlap[c]],
                sums[3] + weights[d] * inverse[overlap[d]],
            )
            position += 4
        rest = sums[0]
        while position < last:
            rest += weights[members[position]] * inverse[overlap[members[position]]]
            position += 1
        neighbours.score[number] += weights[here] * ((rest + sums[1]) + (sums[2] + sums[3]))
    for number in numbers:
        for position in range(neighbours.begin[number], neighbours.end[number]):
            overlap[members[position]] = 1


@numba.njit(nogil=True, cache=True)
def _best(scores: np.ndarray, items: np.ndarray, top: int) -> np.ndarray:
    """The `top` best neighbours, best first; uint64: float32 score above, complement of the item below."""
    bits = scores.astype(np.float32).view(np.uint32)  # positive floats are ordered as their bits are
    packed = np.empty(len(scores), np.uint64)
    for index in range(len(scores)):
        low = ~np.uint64(items[index]) & _LOW_BITS  # of equal scores the smaller items win
        packed[index] = (np.uint64(bits[index]) << np.uint64(32)) | low
    if len(packed) > top:
        _move_largest_first(packed, top)
    return np.sort(packed[:top])[::-1]


@numba.njit(nogil=True, cache=True)
def _move_largest_first(values: np.ndarray, count: int) -> None:
    """Quickselect: reorder `values` (uint64 [n], all different) so that the `count` largest come first."""
    low, high, wanted = 0, len(values) - 1, count - 1
    while low < high:
        pivot = values[(low + high) // 2]
        left, right = low, high
        while left <= right:
            while values[left] > pivot:
                left += 1
            while values[right] < pivot:
                right -= 1
            if left <= right:
                values[left], values[right] = values[right], values[left]
                left += 1
                right -= 1
        if wanted <= right:
            high = right
        elif wanted >= left:
            low = left
        else:
            return
