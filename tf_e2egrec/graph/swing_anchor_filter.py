"""`SwingAnchorFilter`: which users of a hot item are certain to lose against its anchor cap.

The cap keeps, in each snapshot, the users of an item with the smallest draws. Whoever ships histories to the
item's shard can therefore leave a user out who loses in every snapshot; the edges stay what they are.

Time is cut into slots such that every window is a row of whole slots. Of an item's users in a slot, some are
*steady*: they outlive the caps on users in every window with this slot. The threshold of (item, slot) is the
`max_users_per_item + 1`-th smallest draw among (some of) its steady users. A user with a larger draw meets
more than `max_users_per_item` smaller ones in every window with the slot, and a user who loses in all its
slots loses everywhere. One more than the cap is kept, so that the cap still bites, and is counted, in the
item's shard.

The work grows with the rows, whatever the number of snapshots, and there are fewer thresholds than rows /
`max_users_per_item`.
"""

import dataclasses
import math

import numba
import numpy as np

from tf_e2egrec.dataset.description.swing_spec import SwingSpec
from tf_e2egrec.dataset.time_axis import FOREVER
from tf_e2egrec.graph.snapshots import SnapshotPlan
from tf_e2egrec.graph.swing_histories import NEVER, SwingHistories

_SHARE = 0.25  # draws above it are no candidates: pairs of up to some 4 * cap users stay whole
_LARGEST_CANDIDATE = np.uint64(int(_SHARE * 2**64))


@dataclasses.dataclass(frozen=True)
class SwingAnchorFilter:
    """The filter's settings.

    Attributes:
      plan: the snapshots.
      spec: the caps.
    """

    plan: SnapshotPlan
    spec: SwingSpec

    @property
    def slot_length(self) -> int:
        """Length of a slot; with one snapshot, its window is the only slot."""
        endless = self.plan.window >= FOREVER
        if self.plan.is_single:
            return self.plan.window
        return self.plan.refresh if endless else math.gcd(self.plan.refresh, self.plan.window)

    def slots(self, time: np.ndarray) -> np.ndarray:
        """The slot of each moment, int64 [n]; -1 where there is one snapshot that does not see it."""
        if self.plan.is_single:
            start, end = self.plan.window_of(0)
            return np.where((start <= time) & (time < end), 0, -1)
        return (time - self.plan.origin) // self.slot_length

    def candidates(self, histories: SwingHistories, partitions: int) -> np.ndarray:
        """The draws of some users from which thresholds can be made.

        Args:
          histories: of one of the partitions into which the users are divided at random.
          partitions: how many there are; pairs that are plainly not hot are left out by their share of users.

        Returns:
          int64 [3, m] item key, slot and draw (uint64 seen as int64): of each item and slot at most
          `max_users_per_item + 1`, those with the smallest draws.
        """
        is_candidate = histories.draw < _LARGEST_CANDIDATE
        fewest = (self.spec.max_users_per_item + 1) // (2 * partitions)
        if fewest > 1:
            counts = np.bincount(histories.item[is_candidate], minlength=len(histories.item_keys))
            is_candidate &= (counts >= fewest)[histories.item]
        slots = self.slots(histories.time)
        is_candidate &= slots >= 0 if self.plan.is_single else True
        starts, ends, left, right, latest = self._bounds(slots)
        is_steady = _steady(
            histories.offsets,
            histories.time,
            histories.repeated_at,
            is_candidate,
            (starts, ends, left, right, latest),
            (self.spec.min_behaviours, self.spec.max_behaviours),
        )
        rows = np.flatnonzero(is_steady)
        order, place = _ranked(histories.item[rows], slots[rows], histories.draw[rows])
        rows = rows[order[place <= self.spec.max_users_per_item]]
        return np.stack(
            [histories.item_keys[histories.item[rows]], slots[rows], histories.draw[rows].view(np.int64)]
        )

    def thresholds(self, candidates: np.ndarray) -> np.ndarray:
        """The threshold of each hot pair of item and slot.

        Args:
          candidates: int64 [3, n] as `candidates` gives them; all that there are of each item.

        Returns:
          int64 [3, m] item key, slot and largest draw that may win, ordered by (item, slot).
        """
        item, slot, draw = candidates[0], candidates[1], candidates[2].view(np.uint64)
        order, place = _ranked(item, slot, draw)
        return candidates[:, order[place == self.spec.max_users_per_item]]

    def is_anchor(
        self, user: np.ndarray, item: np.ndarray, time: np.ndarray, draw: np.ndarray, thresholds: np.ndarray
    ) -> np.ndarray:
        """Whether the user may be among those that the cap keeps for the item, in any snapshot.

        Args:
          user, item, time: int64 [n], rows of a user adjacent.
          draw: uint64 [n], see `SwingHistories`.
          thresholds: int64 [3, m], ordered by (item, slot).

        Returns:
          bool [n]; rows of the same user and item agree.
        """
        if not thresholds.shape[1]:
            return np.ones(len(user), bool)
        return _is_anchor(
            user, item, self.slots(time), draw, thresholds[0], thresholds[1], thresholds[2].view(np.uint64)
        )

    def _bounds(self, slots: np.ndarray) -> tuple[np.ndarray, ...]:
        """Of each row's slot: start, end; and, of all windows with the slot: how far each reaches at least to
        one side (`left`: from there to the slot's end, or `right`: from the slot's start to there), and the
        latest end of any.
        """
        if self.plan.is_single:
            start, end = (np.full(len(slots), bound) for bound in self.plan.window_of(0))
            return start, end, start, end, end
        start = self.plan.origin + slots * self.slot_length
        end = start + self.slot_length
        if self.plan.window >= FOREVER:  # every window begins with the log
            endless = np.full(len(slots), NEVER)
            return start, end, -endless, endless, endless
        # What a window has beyond the slot lies on two sides: one of them has half of it or more.
        half = -(-(self.plan.window - self.slot_length) // 2)
        return start, end, start - half, end + half, start + self.plan.window


def _ranked(item: np.ndarray, slot: np.ndarray, draw: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Distinct rows in order of (item, slot, draw): row numbers, and the place of each in its pair from 0."""
    order = np.lexsort((draw, slot, item))
    item, slot, draw = item[order], slot[order], draw[order]
    new_pair, new_row = np.ones(len(order), bool), np.ones(len(order), bool)
    new_pair[1:] = (item[1:] != item[:-1]) | (slot[1:] != slot[:-1])
    new_row[1:] = new_pair[1:] | (draw[1:] != draw[:-1])
    order, new_pair = order[new_row], new_pair[new_row]
    starts = np.flatnonzero(new_pair)
    return order, np.arange(len(order)) - np.repeat(starts, np.diff(np.r_[starts, len(order)]))


@numba.njit(nogil=True, cache=True)
def _steady(
    offsets: np.ndarray,
    time: np.ndarray,
    repeated_at: np.ndarray,
    is_candidate: np.ndarray,
    bounds: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray],
    behaviours: tuple[int, int],
) -> np.ndarray:
    """Candidates whose user has the item after the caps in every window with the row's slot; bool [n].

    Args:
      offsets, time, repeated_at: histories.
      is_candidate: bool [n].
      bounds: as `SwingAnchorFilter._bounds` gives them.
      behaviours: (least, most) distinct items per user.
    """
    start, end, left, right, latest = bounds
    least, most = behaviours
    steady = np.zeros(len(time), np.bool_)
    for user in range(len(offsets) - 1):
        first, last = offsets[user], offsets[user + 1]
        for row in range(first, last):
            if not is_candidate[row]:
                continue
            if row + most < last and time[row + most] < latest[row]:  # `most` later rows may push it out
                continue
            steady[row] = _reaches(
                time, repeated_at, (first, last), (left[row], end[row]), least
            ) and _reaches(time, repeated_at, (first, last), (start[row], right[row]), least)
    return steady


@numba.njit(nogil=True, cache=True)
def _reaches(
    time: np.ndarray, repeated_at: np.ndarray, rows: tuple[int, int], span: tuple[int, int], least: int
) -> bool:
    """Whether there are `least` distinct items among the rows [first, last) inside a span of time."""
    low, high = rows
    while low < high:
        middle = (low + high) // 2
        if time[middle] < span[0]:
            low = middle + 1
        else:
            high = middle
    count = 0
    while low < rows[1] and time[low] < span[1] and count < least:
        count += repeated_at[low] >= span[1]
        low += 1
    return count >= least


@numba.njit(nogil=True, cache=True)
def _is_anchor(
    user: np.ndarray,
    item: np.ndarray,
    slot: np.ndarray,
    draw: np.ndarray,
    hot_item: np.ndarray,
    hot_slot: np.ndarray,
    limit: np.ndarray,
) -> np.ndarray:
    """`SwingAnchorFilter.is_anchor` with the thresholds (hot_item, hot_slot, limit), in order."""
    kept = np.ones(len(user), np.bool_)
    won_by = np.full(
        len(hot_item), np.int64(-1)
    )  # by first threshold of an item: first row of who may win it
    first = 0
    while first < len(user):
        last = first + 1
        while last < len(user) and user[last] == user[first]:
            last += 1
        for row in range(first, last):
            low = np.searchsorted(hot_item, item[row])
            if low < len(hot_item) and hot_item[low] == item[row]:
                high = np.searchsorted(hot_item, item[row], side="right")
                place = low + np.searchsorted(hot_slot[low:high], slot[row])
                is_hot = place < high and hot_slot[place] == slot[row]
                if not is_hot or draw[row] <= limit[place]:
                    won_by[low] = first
        for row in range(first, last):
            low = np.searchsorted(hot_item, item[row])
            if low < len(hot_item) and hot_item[low] == item[row]:
                kept[row] = won_by[low] == first
        first = last
    return kept
