"""`SwingHistories`: every user's interactions, prepared so that any time window costs one pass."""

import dataclasses

import numba
import numpy as np

from tf_e2egrec.dataset.ids import hash_keys
from tf_e2egrec.dataset.radix_order import radix_order, sorted_unique

NEVER = np.iinfo(np.int64).max
_MOST_INSERTED = 64  # rows up to which sorting by insertion is quick in any order


@dataclasses.dataclass(frozen=True)
class SwingHistories:
    """Interactions ordered by (user, time, item descending), each (user, item, time) once.

    Attributes:
      user: int64 [U] user keys, ascending.
      offsets: int64 [U + 1]; rows of user u are `offsets[u]:offsets[u + 1]`.
      item: int32 [n] positions in `item_keys`.
      time: int64 [n].
      repeated_at: int64 [n], when the same user next had the same item; `NEVER` if not.
      draw: uint64 [n], hash of (seed, user, item): the anchor cap keeps the users with the smallest.
      item_keys: int64 [V], ascending.
    """

    user: np.ndarray
    offsets: np.ndarray
    item: np.ndarray
    time: np.ndarray
    repeated_at: np.ndarray
    draw: np.ndarray
    item_keys: np.ndarray

    @staticmethod
    def from_interactions(
        user: np.ndarray, item: np.ndarray, time: np.ndarray, seed: int
    ) -> "SwingHistories":
        """Prepare interactions that arrive in any order, with duplicates.

        Args:
          user, item: int64 [n] keys.
          time: int64 [n], any unit.
          seed: seed of the anchor cap.
        """
        item_keys, item_of = sorted_unique(item)
        order = radix_order(user)
        user, item_of, time = user[order], item_of[order], time[order]
        is_new, repeated_at = _ordered_histories(user, item_of, time, len(item_keys))
        if not is_new.all():
            user, item_of, time, repeated_at = (
                column[is_new] for column in (user, item_of, time, repeated_at)
            )
        starts = np.flatnonzero(np.r_[True, user[1:] != user[:-1]]) if len(user) else np.zeros(0, np.int64)
        return SwingHistories(
            user=user[starts],
            offsets=np.r_[starts, len(user)].astype(np.int64),
            item=item_of,
            time=time,
            repeated_at=repeated_at,
            draw=hash_keys(seed, user, item_keys[item_of]),
            item_keys=item_keys,
        )

    def __len__(self) -> int:
        """Number of interactions."""
        return len(self.item)


@numba.njit(nogil=True, cache=True)
def _ordered_histories(
    user: np.ndarray, item: np.ndarray, time: np.ndarray, n_items: int
) -> tuple[np.ndarray, np.ndarray]:
    """Order the rows of each user in place by (time, item descending), and look ahead.

    Args:
      user: int64 [n], rows of a user adjacent.
      item: int32 [n], reordered.
      time: int64 [n], reordered.
      n_items: items are numbered below it.

    Returns:
      bool [n], whether a row differs from the one before; int64 [n], when the user next had the item.
    """
    is_new = np.ones(len(user), np.bool_)
    repeated_at = np.full(len(user), NEVER)
    following = np.full(n_items, np.int64(-1))  # the next row with an item, among the rows seen so far
    first = 0
    while first < len(user):
        last = first + 1
        while last < len(user) and user[last] == user[first]:
            last += 1
        _order_history(item[first:last], time[first:last])
        for row in range(last - 1, first - 1, -1):
            is_new[row] = row == first or item[row] != item[row - 1] or time[row] != time[row - 1]
            later = following[item[row]]
            if later >= first:  # not left over from another user
                repeated_at[row] = time[later] if time[row] < time[later] else repeated_at[later]
            following[item[row]] = row
        first = last
    return is_new, repeated_at


@numba.njit(nogil=True, cache=True)
def _order_history(item: np.ndarray, time: np.ndarray) -> None:
    """Order the rows of one user in place by (time, item descending)."""
    if len(item) > _MOST_INSERTED:
        order = np.argsort(-item, kind="mergesort")
        order = order[np.argsort(time[order], kind="mergesort")]
        item[:], time[:] = item[order], time[order]
        return
    for row in range(1, len(item)):  # insertion: next to nothing to do where rows arrive in order
        one_item, one_time = item[row], time[row]
        place = row
        while place > 0 and (
            time[place - 1] > one_time or (time[place - 1] == one_time and item[place - 1] < one_item)
        ):
            item[place], time[place] = item[place - 1], time[place - 1]
            place -= 1
        item[place], time[place] = one_item, one_time
