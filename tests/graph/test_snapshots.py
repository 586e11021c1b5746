import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tf_e2egrec.dataset.description.load import parse_description
from tf_e2egrec.dataset.time_axis import FOREVER, RANK_SCALE
from tf_e2egrec.graph.snapshots import SnapshotPlan

HORIZON = 100  # ids that the brute force looks at

plans = st.builds(
    SnapshotPlan,
    origin=st.integers(-20, 20),
    refresh=st.integers(1, 15) | st.just(FOREVER),
    window=st.integers(1, 40) | st.just(FOREVER),
)
times = st.integers(-30, 60)


def all_snapshots(plan: SnapshotPlan) -> list[int]:
    return [0] if plan.is_single else list(range(HORIZON))


@given(plan=plans, time=times)
def test_an_event_is_served_by_the_latest_snapshot_that_is_valid(plan, time):
    valid = [snapshot for snapshot in all_snapshots(plan) if plan.valid_from(snapshot) <= time]
    assert plan.snapshot_at(np.array([time]))[0] == max(valid, default=-1)


@given(plan=plans, time=times)
def test_snapshots_seeing_lists_exactly_the_windows_that_hold_the_event(plan, time):
    def sees(snapshot):
        start, end = plan.window_of(snapshot)
        return start <= time < end

    first, last = plan.snapshots_seeing(time)
    listed = [snapshot for snapshot in all_snapshots(plan) if first <= snapshot <= last]
    assert listed == [snapshot for snapshot in all_snapshots(plan) if sees(snapshot)]


@given(plan=plans, time=times)
def test_no_event_is_served_by_a_snapshot_that_sees_it(plan, time):
    snapshot = int(plan.snapshot_at(np.array([time]))[0])
    if snapshot >= 0:
        assert plan.window_of(snapshot)[1] <= time


@given(plan=plans, time=times)
def test_the_latest_snapshot_may_see_everything_and_no_earlier_one_may(plan, time):
    latest = plan.latest(time)
    if plan.is_single:
        assert latest == 0
        return
    assert plan.window_of(latest)[1] > time
    assert plan.window_of(latest - 1)[1] <= time


DESCRIPTION = """
name: toy
interactions:
  paths: log.parquet
  user: user
  item: item
  time: {{column: time, unit: {unit}}}
  behaviours: {{click: {{always: true}}}}
ranker: {{reward: click}}
graph: {{positive: [click], explicit: [click], snapshots: {snapshots}}}
split: {split}
"""
BY_TIME = "{by: time, labels_from: 2024-01-02, train_until: 2024-01-05, valid_until: 2024-01-06}"
BY_RANK = "{by: user_fraction, labels_from: 0.5, train_until: 0.8, valid_until: 0.9}"


@pytest.mark.parametrize(
    ("unit", "snapshots", "split", "plan"),
    [
        ("ms", "{refresh: 1h, window: 48h}", BY_TIME, SnapshotPlan(0, 3_600_000, 48 * 3_600_000)),
        ("ms", "{refresh: 1d}", BY_TIME, SnapshotPlan(0, 86_400_000, FOREVER)),
        ("ms", "{refresh: once, window: 7d}", BY_TIME, SnapshotPlan(1704153600000, FOREVER, 7 * 86_400_000)),
        (
            "rank",
            "{refresh: 0.1, window: 0.3}",
            BY_RANK,
            SnapshotPlan(0, RANK_SCALE // 10, 3 * RANK_SCALE // 10),
        ),
        ("rank", "{refresh: once}", BY_RANK, SnapshotPlan(RANK_SCALE // 2, FOREVER, FOREVER)),
    ],
)
def test_plan_of_a_description(unit, snapshots, split, plan):
    description = parse_description(
        DESCRIPTION.format(unit=unit, snapshots=snapshots, split=split), "toy.yaml"
    )
    assert SnapshotPlan.from_description(description) == plan
