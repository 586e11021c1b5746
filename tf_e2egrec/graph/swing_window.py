"""Numba kernels that cut a time window out of histories and apply the caps of Swing."""

import numba
import numpy as np

# Positions in the counters of `window_rows` and of `anchor_users`.
USERS_BELOW_MIN, USERS_CAPPED, BEHAVIOURS_CAPPED = 0, 1, 2
ITEMS_CAPPED, ANCHOR_USERS_CAPPED = 0, 1


@numba.njit(nogil=True, cache=True)
def window_rows(
    offsets: np.ndarray,
    time: np.ndarray,
    repeated_at: np.ndarray,
    is_counted: np.ndarray,
    window: tuple[int, int],
    behaviours: tuple[int, int],
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The distinct items of each user inside a time window, after the caps.

    Args:
      offsets: int64 [U + 1]; rows of user u are `offsets[u]:offsets[u + 1]`, oldest first, and larger item
        first where times are equal.
      time: int64 [n].
      repeated_at: int64 [n], when the same user next had the same item.
      is_counted: bool [U], users that enter the counters.
      window: [start, end) of the times that count.
      behaviours: (least, most) distinct items per user: users with fewer are left out, those with more keep
        the most recent ones (the smaller items where times are equal).

    Returns:
      pointers int64 [A + 1] of the A users that are left, rows int64 [m], oldest first, and counters int64
      [3].
    """
    start, end = window
    least, most = behaviours
    pointers = np.empty(len(offsets), np.int64)
    rows = np.empty(len(time), np.int64)
    counters = np.zeros(3, np.int64)
    n_users, filled = 0, 0
    pointers[0] = 0
    for user in range(len(offsets) - 1):
        first = filled
        row = _first_row_at(time, start, offsets[user], offsets[user + 1])
        while row < offsets[user + 1] and time[row] < end:
            if repeated_at[row] >= end:  # only the latest behaviour towards an item stands for it
                rows[filled] = row
                filled += 1
            row += 1
        count = filled - first
        if count < least or count == 0:
            filled = first
            counters[USERS_BELOW_MIN] += is_counted[user] and count > 0
            continue
        excess = count - most
        if excess > 0:
            for position in range(first, first + most):
                rows[position] = rows[position + excess]
            filled = first + most
            counters[USERS_CAPPED] += is_counted[user]
            counters[BEHAVIOURS_CAPPED] += excess * is_counted[user]
        n_users += 1
        pointers[n_users] = filled
    return pointers[: n_users + 1].copy(), rows[:filled].copy(), counters


@numba.njit(nogil=True, cache=True)
def _first_row_at(time: np.ndarray, start: int, low: int, high: int) -> int:
    """The first of the rows [low, high), which are in order of time, that is not older than `start`."""
    while low < high:
        middle = (low + high) // 2
        if time[middle] < start:
            low = middle + 1
        else:
            high = middle
    return low


@numba.njit(nogil=True, cache=True)
def anchor_users(
    pointers: np.ndarray, items: np.ndarray, draws: np.ndarray, is_anchor: np.ndarray, max_users: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """The users of each anchor item by their keys; a hot item keeps those with the smallest draws.

    Args:
      pointers, items: the histories, as in `WindowHistories`.
      draws: uint64 [m] hash of (seed, user, item).
      is_anchor: bool [V].
      max_users: anchor cap.

    Returns:
      anchors int32 [A] (items with at least two users), offsets int64 [A + 1], users int32 [k], counters
      int64 [2].
    """
    counters = np.zeros(2, np.int64)
    begin, user_of, draw_of = _users_by_item(pointers, items, draws, is_anchor)
    anchors = np.empty(len(is_anchor), np.int32)
    offsets = np.zeros(len(is_anchor) + 1, np.int64)
    n_anchors, filled = 0, 0
    for item in range(len(is_anchor)):
        first, last = begin[item], begin[item + 1]
        if last - first < 2:
            continue
        limit, spare = np.uint64(0xFFFFFFFFFFFFFFFF), last - first
        if last - first > max_users:
            counters[ITEMS_CAPPED] += 1
            counters[ANCHOR_USERS_CAPPED] += last - first - max_users
            limit = np.partition(draw_of[first:last], max_users - 1)[max_users - 1]
            spare = max_users - np.sum(draw_of[first:last] < limit)
        for position in range(first, last):
            is_tie = draw_of[position] == limit
            if draw_of[position] < limit or (is_tie and spare > 0):  # of equal draws the smaller user keys
                spare -= is_tie
                user_of[filled] = user_of[position]
                filled += 1
        anchors[n_anchors] = item
        n_anchors += 1
        offsets[n_anchors] = filled
    return anchors[:n_anchors].copy(), offsets[: n_anchors + 1].copy(), user_of[:filled].copy(), counters


@numba.njit(nogil=True, cache=True)
def _users_by_item(
    pointers: np.ndarray, items: np.ndarray, draws: np.ndarray, is_anchor: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Users and draws of each anchor item: `begin` int64 [V + 1], users int32, draws uint64."""
    begin = np.zeros(len(is_anchor) + 1, np.int64)
    for item in items:
        begin[item + 1] += is_anchor[item]
    for item in range(len(is_anchor)):
        begin[item + 1] += begin[item]
    user_of = np.empty(begin[-1], np.int32)
    draw_of = np.empty(begin[-1], np.uint64)
    cursor = begin[:-1].copy()
    for user in range(len(pointers) - 1):
        for position in range(pointers[user], pointers[user + 1]):
            item = items[position]
            if is_anchor[item]:
                user_of[cursor[item]] = user
                draw_of[cursor[item]] = draws[position]
                cursor[item] += 1
    return begin, user_of, draw_of
