import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tf_e2egrec.dataset.description.swing_spec import SwingSpec
from tf_e2egrec.dataset.time_axis import FOREVER
from tf_e2egrec.graph import swing_anchor_filter
from tf_e2egrec.graph.snapshots import SnapshotPlan
from tf_e2egrec.graph.swing import window_edges
from tf_e2egrec.graph.swing_anchor_filter import SwingAnchorFilter
from tf_e2egrec.graph.swing_histories import SwingHistories
from tf_e2egrec.graph.swing_share import shares_of_shards

logs = st.builds(lambda seed, n: (seed, n), st.integers(0, 2**32 - 1), st.sampled_from([60, 200, 600]))
plans = st.one_of(
    st.builds(
        SnapshotPlan, st.just(0), st.sampled_from([4, 10, 24]), st.sampled_from([6, 8, 24, 30, FOREVER])
    ),
    st.builds(SnapshotPlan, st.integers(10, 60), st.just(FOREVER), st.sampled_from([15, 40, FOREVER])),
)
specs = st.builds(
    SwingSpec,
    top=st.integers(3, 8),
    min_behaviours=st.integers(1, 3),
    max_behaviours=st.integers(3, 8),
    max_users_per_item=st.integers(2, 5),
)


def columns(source):
    random = np.random.default_rng(source[0])
    n = source[1]
    return random.integers(0, 50, n), np.minimum(random.geometric(0.3, n), 12), random.integers(0, 60, n)


def thresholds_of(anchors, histories, partitions=1):
    return anchors.thresholds(anchors.candidates(histories, partitions))


def flat(histories):
    user = np.repeat(histories.user, np.diff(histories.offsets))
    return user, histories.item_keys[histories.item], histories.time


@pytest.fixture(autouse=True)
def every_draw_is_a_candidate(monkeypatch):
    """Small logs have few draws below a quarter; the property must hold for any share."""
    monkeypatch.setattr(swing_anchor_filter, "_LARGEST_CANDIDATE", np.uint64(2**64 - 1))


@settings(deadline=None, max_examples=200)
@given(source=logs, plan=plans, spec=specs, shards=st.integers(1, 3))
def test_edges_of_every_snapshot_are_the_same_without_the_certain_losers(source, plan, spec, shards):
    histories = SwingHistories.from_interactions(*columns(source), 0)
    anchors = SwingAnchorFilter(plan, spec)
    user, item, time = flat(histories)
    is_anchor = anchors.is_anchor(user, item, time, histories.draw, thresholds_of(anchors, histories))
    shares = dict(shares_of_shards(user, item, time, item % shards, is_anchor, shards))
    for snapshot in range(plan.latest(60) + 1):
        start, end = plan.window_of(snapshot)
        expected = window_edges(histories, spec, start, end)
        rows, capped = [], 0
        for shard, share in shares.items():
            sent = SwingHistories.from_interactions(
                np.repeat(share.user, share.length), share.item, share.time, 0
            )
            edges = window_edges(sent, spec, start, end, is_anchor=sent.item_keys % shards == shard)
            rows += zip(edges.target, -edges.weight, edges.source, strict=True)
            capped += edges.counters["items_capped"]
        assert sorted(rows) == list(zip(expected.target, -expected.weight, expected.source, strict=True))
        assert capped == expected.counters["items_capped"]


@settings(deadline=None, max_examples=50)
@given(source=logs, plan=plans, spec=specs, parts=st.integers(1, 4))
def test_partitions_may_be_looked_at_apart(source, plan, spec, parts):
    user, item, time = columns(source)
    anchors = SwingAnchorFilter(plan, spec)
    whole = thresholds_of(anchors, SwingHistories.from_interactions(user, item, time, 0))
    found = [
        anchors.candidates(
            SwingHistories.from_interactions(*(c[user % parts == p] for c in (user, item, time)), 0), 99
        )
        for p in range(parts)
    ]
    apart = anchors.thresholds(np.concatenate(found, axis=1))
    assert sorted(apart.T.tolist()) == sorted(whole.T.tolist())


@pytest.mark.parametrize("users", [2_000, 20_000])
def test_an_item_that_everybody_clicked_keeps_a_bounded_number_of_users(users, monkeypatch):
    monkeypatch.undo()
    random = np.random.default_rng(0)
    user = np.repeat(np.arange(users), 4)
    item = np.concatenate([[0, *(1 + random.integers(0, users, 3))] for _ in range(users)])
    plan, spec = SnapshotPlan(0, FOREVER, FOREVER), SwingSpec(max_users_per_item=50)
    histories = SwingHistories.from_interactions(user, item, -np.ones(len(user), np.int64), 0)
    anchors = SwingAnchorFilter(plan, spec)
    thresholds = thresholds_of(anchors, histories)
    assert thresholds[0].tolist() == [0]
    user, item, time = flat(histories)
    kept = anchors.is_anchor(user, item, time, histories.draw, thresholds)
    assert spec.max_users_per_item < kept[item == 0].sum() <= 1.1 * spec.max_users_per_item + 5
    assert kept[item != 0].all()
    # The shard of the hot item gets no more than any other.
    shares = [
        [len(share.to_bytes()) for _, share in shares_of_shards(user, item, time, item % 16, mask, 16)]
        for mask in (np.ones(len(user), bool), kept)
    ]
    assert max(shares[0]) > 3 * np.median(shares[0])
    assert max(shares[1]) < 1.2 * np.median(shares[1])


def test_without_thresholds_everybody_is_an_anchor():
    histories = SwingHistories.from_interactions(*columns((0, 60)), 0)
    anchors = SwingAnchorFilter(SnapshotPlan(0, 10, 20), SwingSpec())
    nothing = thresholds_of(anchors, dataclasses.replace(histories))
    assert nothing.shape == (3, 0)
    assert anchors.is_anchor(*flat(histories), histories.draw, nothing).all()
