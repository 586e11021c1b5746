"""Recent items: what a user interacted with before each impression."""

import numba
import numpy as np

Array = np.ndarray


def recent_items(
    user: np.ndarray, time: np.ndarray, item: np.ndarray, explicit: np.ndarray, wanted: np.ndarray, limit: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The latest distinct items of explicit events strictly before each wanted row, newest first.

    Events at the row's own time are not older, and the row's own item is left out. Of items with equal latest times, the one with the
    larger key counts as newer.

    Args:
      user: int64 [n]; rows of a user are adjacent.
      time: int64 [n]; ascending within a user.
      item: int64 [n]; ascending within a user and time.
      explicit: bool [n]; whether the row makes its item a recent one.
      wanted: bool [n]; rows for which recent items are listed (w of them).
      limit: items per row.

    Returns:
      (indptr int64 [w + 1], items int64 [m], ages int64 [m] = row time - latest time of the item), in the order of the wanted rows.
    """
    rows = np.flatnonzero(wanted)
    items, ages = np.empty(len(rows) * limit, np.int64), np.empty(len(rows) * limit, np.int64)
    counts = _fill(user, time, item, explicit.astype(np.bool_), wanted.astype(np.bool_), limit, items, ages)
    indptr = np.r_[0, np.cumsum(counts)].astype(np.int64)
    return indptr, items[: indptr[-1]].copy(), ages[: indptr[-1]].copy()


@numba.njit(cache=True, nogil=True)
def _fill(
    user: Array,
    time: Array,
    item: Array,
    explicit: Array,
    wanted: Array,
    limit: int,
    out_items: Array,
    out_ages: Array,
) -> Array:
    """Walk every user once with a most-recently-used list of `limit + 1` items (one of them may be the candidate)."""
    counts = np.zeros(wanted.sum(), np.int64)
    latest_item, latest_time = np.empty(limit + 1, np.int64), np.empty(limit + 1, np.int64)
    known = done = out = row = 0
    n = len(user)
    while row < n:
        if row == 0 or user[row] != user[row - 1]:
            known = 0
        end = row
        while end < n and user[end] == user[row] and time[end] == time[row]:
            end += 1
        for r in range(row, end):
            if not wanted[r]:
                continue
            taken = 0
            for k in range(known):
                if latest_item[k] != item[r] and taken < limit:
                    out_items[out] = latest_item[k]
                    out_ages[out] = time[r] - latest_time[k]
                    out += 1
                    taken += 1
            counts[done] = taken
            done += 1
        for r in range(row, end):
            if explicit[r]:
                known = _to_front(latest_item, latest_time, known, item[r], time[r])
        row = end
    return counts


@numba.njit(cache=True, nogil=True)
def _to_front(latest_item: Array, latest_time: Array, known: int, item: int, time: int) -> int:
    """Move or insert an item at the front of the list; returns the list's new length."""
    place = 0
    while place < known and latest_item[place] != item:
        place += 1
    length = known
    if place == known:
        length = min(known + 1, len(latest_item))
        place = length - 1
    for k in range(place, 0, -1):
        latest_item[k] = latest_item[k - 1]
        latest_time[k] = latest_time[k - 1]
    latest_item[0] = item
    latest_time[0] = time
    return length
