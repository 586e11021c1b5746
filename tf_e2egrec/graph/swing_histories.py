"""`SwingHistories`: every user's interactions, prepared so that any time window costs one pass."""

import dataclasses

import numba
import numpy as np

from tf_e2egrec.dataset.ids import hash_keys

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
        item_keys, item_of = np.unique(item, return_inverse=True)
        order = np.argsort(user, kind="stable")  # little work where whole users arrive in order
        user, item_of, time = user[order], item_of[order].astype(np.int32), time[order]
        is_new, repeated_at = _ordered_histories(user, item_of, time)
        user, item_of = user[is_new], item_of[is_new]
        starts = np.flatnonzero(np.r_[True, user[1:] != user[:-1]]) if len(user) else np.zeros(0, np.int64)
        return SwingHistories(
            user=user[starts],
            offsets=np.r_[starts, len(user)].astype(np.int64),
            item=item_of,
            time=time[is_new],
            repeated_at=repeated_at[is_new],
            draw=hash_keys(seed, user, item_keys[item_of]),
            item_keys=item_keys,
        )

    def __len__(self) -> int:
        """Number of interactions."""
        return len(self.item)


@numba.njit(nogil=True, cache=True)
def _ordered_histories(user: np.ndarray, item: np.ndarray, time: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Order the rows of each user in place by (time, item descending), and look ahead.

    Args:
      user: int64 [n], rows of a user adjacent.
      item: int32 [n], reordered.
      time: int64 [n], reordered.

    Returns:
      bool [n], whether a row differs from the one before; int64 [n], when the user next had the item.
    """
    is_new = np.ones(len(user), np.bool_)
    repeated_at = np.full(len(user), NEVER)
    first = 0
    while first < len(user):
        last = first + 1
        while last < len(user) and user[last] == user[first]:
            last += 1
        own_item, own_time = item[first:last], time[first:last]
        _order_history(own_item, own_time)
        for row in range(first + 1, last):
            is_new[row] = item[row] != item[row - 1] or time[row] != time[row - 1]
        by_item = np.argsort(own_item, kind="mergesort")  # stable: the rows of an item stay in order of time
        for position in range(len(by_item) - 2, -1, -1):
            row, following = by_item[position], by_item[position + 1]
            if own_item[row] == own_item[following]:
                is_later = own_time[row] < own_time[following]
                repeated_at[first + row] = own_time[following] if is_later else repeated_at[first + following]
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
