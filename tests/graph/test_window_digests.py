import collections

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tf_e2egrec.dataset.events import GRAPH_ROW, RANKER_ROW, EventBlock
from tf_e2egrec.dataset.time_axis import FOREVER
from tf_e2egrec.graph.snapshots import SnapshotPlan
from tf_e2egrec.graph.window_digests import WindowDigests, changed_snapshots, seen_by

PLANS = st.one_of(
    st.builds(
        SnapshotPlan,
        origin=st.just(0),
        refresh=st.integers(1, 9),
        window=st.one_of(st.integers(1, 20), st.just(FOREVER)),
    ),
    st.builds(SnapshotPlan, origin=st.integers(5, 30), refresh=st.just(FOREVER), window=st.integers(1, 20)),
)
ROWS = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 50), st.booleans()), max_size=12)


def events_of(rows):
    user, time, is_graph = (
        (np.array(column, np.int64) for column in zip(*rows, strict=True))
        if rows
        else np.zeros((3, 0), np.int64)
    )
    nothing = np.full(len(user), np.nan, np.float32)
    role = np.where(is_graph, GRAPH_ROW, RANKER_ROW).astype(np.uint8)
    ones = np.ones(len(user), np.uint32)
    return EventBlock(user, user % 2, time, ones, role, nothing, nothing, np.full(len(user), -1))


def windows_of(rows, plan):
    """Snapshot -> the rows its window holds, by the definition."""
    newest = max((time for _, time, _ in rows), default=None)
    found = {}
    for snapshot in range(plan.latest(newest) + 1) if rows else []:
        start, end = plan.window_of(snapshot)
        seen = collections.Counter(
            (user, time) for user, time, is_graph in rows if is_graph and start <= time < end
        )
        if seen:
            found[snapshot] = seen
    return found


@given(rows=ROWS, plan=PLANS, cut=st.integers(0, 12))
def test_every_window_has_a_digest_however_rows_are_divided(rows, plan, cut):
    whole = WindowDigests.of_events(events_of(rows), plan)
    parts = [WindowDigests.of_events(events_of(part), plan) for part in (rows[cut:], rows[:cut][::-1])]
    merged = WindowDigests.merged(WindowDigests.from_bytes(part.to_bytes()) for part in parts)
    assert merged.by_snapshot(plan) == whole.by_snapshot(plan)
    assert merged.newest_time == max((time for _, time, _ in rows), default=-FOREVER)
    assert set(whole.by_snapshot(plan)) == set(windows_of(rows, plan))


@given(rows=ROWS, other=ROWS, plan=PLANS)
def test_a_digest_changes_exactly_with_the_rows_of_its_window(rows, other, plan):
    digests = WindowDigests.of_events(events_of(rows), plan).by_snapshot(plan)
    known = WindowDigests.of_events(events_of(other), plan).by_snapshot(plan)
    held, was_held = windows_of(rows, plan), windows_of(other, plan)
    assert changed_snapshots(digests, known) == [s for s in sorted(held) if held[s] != was_held.get(s)]


@given(plan=PLANS, times=st.lists(st.integers(0, 60), max_size=6))
def test_seen_by_is_snapshots_seeing(plan, times):
    first, last = seen_by(plan, np.array(times, np.int64))
    for i, time in enumerate(times):
        expected = plan.snapshots_seeing(time)
        assert (first[i] <= last[i]) == (expected[0] <= expected[1])
        if expected[0] <= expected[1]:
            assert (first[i], last[i]) == expected


def test_no_rows():
    merged = WindowDigests.merged([])
    assert merged.by_snapshot(SnapshotPlan(0, 5, 5)) == {}
    assert merged.newest_time == -FOREVER


def test_rows_far_apart():
    rows, plan = [(0, 3, True), (1, 4, True), (0, 900_000, True), (2, 900_000, True)], SnapshotPlan(0, 1, 3)
    found = WindowDigests.of_events(events_of(rows), plan).by_snapshot(plan)
    assert set(found) == {4, 5, 6, 7, 900_001}
