"""Whole users out of blocks of rows."""

import dataclasses
from collections.abc import Iterable

import numpy as np

from tf_e2egrec.dataset.canonical import logged_context
from tf_e2egrec.dataset.description.dataset_description import DatasetDescription
from tf_e2egrec.dataset.events import RANKER_ROW, EventBlock
from tf_e2egrec.dataset.ids import KEY_BITS, MISSING_KEY
from tf_e2egrec.dataset.time_axis import rank_to_time

_SAME_GAP_MS = 0.5  # `drop_exactly` is a decimal number of seconds; gaps are whole milliseconds


def assemble_users(
    blocks: Iterable[EventBlock], description: DatasetDescription, counters: dict[str, int] | None = None
) -> EventBlock:
    """Put the rows of whole users in order and derive what needs a user's other rows.

    Exact duplicates (equal in every column) are removed, ranks become pseudo-time, gaps to the next event
    become stay labels, and rows without a role are dropped.

    Args:
      blocks: what `canonicalise` returned; every row of a user must be among them.
      description: the data set.
      counters: receives `duplicate_rows`, the number of rows removed as duplicates.

    Returns:
      The events in the order of `EventBlock.sorted`; it does not depend on the order of rows or blocks.
    """
    events = _distinct(EventBlock.concatenate([no_events(description), *blocks]).sorted(), counters)
    if description.time_is_rank:
        events = dataclasses.replace(events, time=rank_to_time(events.user, events.time))
    if (events.session != MISSING_KEY).any():
        events = dataclasses.replace(events, stay=_with_gaps(events, description))
    return events if events.role.all() else events.take(events.role > 0)


def no_events(description: DatasetDescription) -> EventBlock:
    """A block of no rows with the description's context features."""
    kinds = {"categorical": np.int64, "numeric": np.float32}
    return EventBlock(
        user=np.zeros(0, np.int64),
        item=np.zeros(0, np.int64),
        time=np.zeros(0, np.int64),
        behaviours=np.zeros(0, np.uint32),
        role=np.zeros(0, np.uint8),
        stay=np.zeros(0, np.float32),
        content_duration=np.zeros(0, np.float32),
        session=np.zeros(0, np.int64),
        context={feature.name: np.zeros(0, kinds[feature.type]) for feature in logged_context(description)},
    )


def _distinct(events: EventBlock, counters: dict[str, int] | None) -> EventBlock:
    """Without the rows that equal the row before them in every column (NaN equals NaN)."""
    if len(events) == 0:
        return events
    columns = [getattr(events, field.name) for field in dataclasses.fields(events) if field.name != "context"]
    same = np.ones(len(events) - 1, bool)
    for column in [*columns, *events.context.values()]:
        if not same.any():
            break
        same &= (column[1:] == column[:-1]) | ((column[1:] != column[1:]) & (column[:-1] != column[:-1]))
    if counters is not None:
        counters["duplicate_rows"] = counters.get("duplicate_rows", 0) + int(same.sum())
    return events.take(np.r_[True, ~same]) if same.any() else events


def _with_gaps(events: EventBlock, description: DatasetDescription) -> np.ndarray:
    """`stay`, float32 seconds [n], with the gap to the next event of the session where a log asks for it."""
    in_session = np.flatnonzero(events.session != MISSING_KEY)
    user, session = events.user[in_session], events.session[in_session]
    order = np.lexsort((session, user))  # stable: rows of a session stay in order of time
    rows, user, session = in_session[order], user[order], session[order]
    has_next = (user[1:] == user[:-1]) & (session[1:] == session[:-1])
    gap_ms = np.full(len(rows), np.nan)
    gap_ms[:-1][has_next] = np.diff(events.time[rows])[has_next]

    stay = events.stay.copy()
    specs = [
        log.stay
        for log in description.interactions
        if log.feeds != "graph" and log.stay and log.stay.gap_to_next
    ]
    for number, spec in enumerate(specs):
        is_log = session >> KEY_BITS == number
        gap = gap_ms[is_log]
        if spec.drop_exactly is not None:
            gap[np.abs(gap - spec.drop_exactly * 1000) <= _SAME_GAP_MS] = np.nan
        # Other rows keep no label: of the graph's users, not every row that ends a gap is there.
        labelled = (events.role[rows[is_log]] & RANKER_ROW) > 0
        stay[rows[is_log][labelled]] = np.minimum(gap[labelled] / 1000, spec.maximum)
    return stay
