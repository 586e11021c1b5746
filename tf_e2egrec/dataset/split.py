"""Which impressions train, validate and test."""

import numpy as np

from tf_e2egrec.dataset.description.dataset_description import DatasetDescription
from tf_e2egrec.dataset.description.split_spec import moment_to_ms
from tf_e2egrec.dataset.events import RANKER_ROW, EventBlock
from tf_e2egrec.dataset.time_axis import FOREVER, RANK_SCALE

SPLITS = ("train", "valid", "test")
NOT_AN_IMPRESSION = np.int8(-1)  # the row only feeds the graph


def split_codes(events: EventBlock, description: DatasetDescription) -> np.ndarray:
    """The split of each row.

    Args:
      events: whole users, in the order of `EventBlock.sorted`.
      description: its `split` part decides.

    Returns:
      int8 [n]: the index in `SPLITS`, or `NOT_AN_IMPRESSION` for rows outside the ranker's rows, before
      `labels_from`, or after `test_until`.
    """
    spec = description.split
    bounds = [moment_to_ms(bound) for bound in (spec.train_until, spec.valid_until)]
    first = moment_to_ms(spec.labels_from) if spec.labels_from is not None else -np.inf
    last = moment_to_ms(spec.test_until) if spec.test_until is not None else np.inf
    is_ranker = (events.role & RANKER_ROW) > 0
    position = events.time.astype(np.float64) if spec.by == "time" else _user_fraction(events.user, is_ranker)
    codes = np.searchsorted(np.asarray(bounds), position, side="right").astype(np.int8)
    outside = ~is_ranker | (position < first) | (position >= last)
    return np.where(outside, NOT_AN_IMPRESSION, codes)


def training_ends(description: DatasetDescription) -> float:
    """The moment (in `EventBlock.time` units) from which on no row may enter a vocabulary or a statistic.

    With `by: user_fraction` and real times there is no such moment; infinity is returned and `split_codes`
      alone decides.
    """
    if description.split.by == "time":
        return moment_to_ms(description.split.train_until)
    return moment_to_ms(description.split.train_until) * RANK_SCALE if description.time_is_rank else np.inf


def labels_begin(description: DatasetDescription) -> int:
    """`split.labels_from` in `EventBlock.time` units; a moment before everything when absent."""
    spec = description.split
    if spec.labels_from is None:
        return -FOREVER
    scale = RANK_SCALE if description.time_is_rank else 1
    return round(moment_to_ms(spec.labels_from) * scale)


def _user_fraction(user: np.ndarray, counted: np.ndarray) -> np.ndarray:
    """Share of the user's counted rows that come before each row; rows of a user are adjacent and in time
    order.
    """
    if len(user) == 0:
        return np.zeros(0)
    new_user = np.r_[True, user[1:] != user[:-1]]
    group = np.cumsum(new_user) - 1
    running = np.cumsum(counted) - counted
    before = running - running[np.flatnonzero(new_user)][group]
    total = np.bincount(group, weights=counted)[group]
    return before / np.maximum(total, 1)
