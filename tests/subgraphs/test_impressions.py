import numpy as np
import pytest

from tf_e2egrec.dataset.description import parse_description
from tf_e2egrec.dataset.events import GRAPH_ROW, RANKER_ROW, EventBlock
from tf_e2egrec.graph.pool_table import PoolTable
from tf_e2egrec.subgraphs.first_seen import FirstSeen
from tf_e2egrec.subgraphs.impressions import impressions_of

DAY, HOUR = 86_400_000, 3_600_000
START = 18_262 * DAY  # 2020-01-01, a Wednesday

TEXT = """
name: small
interactions:
  paths: log.csv
  user: u
  item: i
  time: {{column: t, unit: ms}}
  behaviours: {{click: {{column: c}}, like: {{column: l}}}}
  context: [{{name: device, type: categorical}}]
ranker: {{reward: like, derived: [hour_of_day, day_of_week, item_age, recent_count]{negatives}}}
graph: {{regime: cross-domain, positive: [click], explicit: [click], recent: 2}}
split: {{by: time, labels_from: 2020-01-02, train_until: 2020-01-03, valid_until: 2020-01-04}}
"""
PLAIN = parse_description(TEXT.format(negatives=""), "test")
SAMPLED = parse_description(
    TEXT.format(negatives=", negatives: {per_positive: 2, window: 1d, every: 1h, pool_size: 10}"), "test"
)
CLICK, LIKE = 1, 2
BOTH = RANKER_ROW | GRAPH_ROW

ROWS = [  # user, item, hour, behaviours, role
    (1, 10, 0, CLICK, BOTH),
    (1, 11, 23, CLICK, RANKER_ROW),  # not the graph's: never a recent item
    (1, 12, 24, 0, BOTH),  # no click: never a recent item
    (1, 13, 25, CLICK | LIKE, BOTH),
    (1, 14, 25, CLICK, BOTH),
    (1, 10, 49, LIKE, BOTH),
    (1, 15, 75, CLICK, GRAPH_ROW),  # no impression
    (2, 10, 30, LIKE, BOTH),
]


def events_of(rows=ROWS) -> EventBlock:
    user, item, hour, behaviours, role = (np.array(column) for column in zip(*rows, strict=True))
    n = len(rows)
    return EventBlock(
        user=user, item=item, time=START + hour * HOUR, behaviours=behaviours.astype(np.uint32), role=role.astype(np.uint8),
        stay=np.arange(n, dtype=np.float32), content_duration=np.full(n, 9, np.float32), session=np.full(n, -1),
        context={"device": np.arange(n)},
    ).sorted()  # fmt: skip


FIRST = FirstSeen(np.array([10, 11, 12, 13, 14, 15]), START + np.array([0, 23, 24, 25, 25, 75]) * HOUR)


def recents(block, i):
    part = slice(*block.history_indptr[block.history[i] : block.history[i] + 2])
    return list(zip(block.recent[part].tolist(), (block.age[part] / 3600).tolist(), strict=True))


def test_impressions_labels_and_recent_items():
    block, codes, counters = impressions_of(events_of(), PLAIN, None, FIRST)
    assert block.item.tolist() == [12, 13, 14, 10, 10]  # from labels_from on, the ranker's rows alone
    assert codes.tolist() == [0, 0, 0, 1, 0]
    assert block.reward.tolist() == [0, 1, 0, 1, 1]
    assert recents(block, 0) == [(10, 24)]
    assert recents(block, 1) == recents(block, 2) == [(10, 25)]  # equal times are not older
    assert recents(block, 3) == [(14, 24), (13, 24)]  # two at most, never the candidate
    assert recents(block, 4) == []
    assert counters == {"impressions_logged": 5, "positives": 3}
    assert len(set(block.impression_id.tolist())) == 5
    assert (block.impression_id >= 0).all()
    assert block.context["device"].tolist() == [2, 3, 4, 5, 7]


def test_derived_features():
    block, _, _ = impressions_of(events_of(), PLAIN, None, FIRST)
    assert block.context["hour_of_day"].tolist() == [0, 1, 1, 1, 6]
    assert block.context["day_of_week"].tolist() == [3, 3, 3, 4, 3]  # Monday is 0
    np.testing.assert_allclose(
        block.context["item_age"], [np.nan, np.nan, np.nan, np.log1p(49), np.log1p(30)], rtol=1e-6
    )
    np.testing.assert_allclose(block.context["recent_count"], np.log1p([1, 1, 1, 2, 0]), rtol=1e-6)
    assert {values.dtype for values in block.context.values()} == {np.dtype(np.int64), np.dtype(np.float32)}


def test_negatives_share_everything_but_the_item():
    pools = PoolTable(HOUR, np.array([START // HOUR + 25]), np.array([0, 4]), np.array([10, 13, 16, 17]))
    block, codes, counters = impressions_of(events_of(), SAMPLED, pools, FIRST)
    assert len(block) == 7  # one positive has a pool
    negative = np.arange(5, 7)
    assert sorted(block.item[negative].tolist()) == [16, 17]  # 10 and 13 are known to user 1
    assert (block.reward[negative] == 0).all()
    assert np.isnan(block.stay[negative]).all()
    assert np.isnan(block.content_duration[negative]).all()
    assert (block.time[negative] == block.time[1]).all()
    assert (block.user[negative] == 1).all()
    assert (block.context["device"][negative] == 3).all()
    assert recents(block, 5) == recents(block, 6) == recents(block, 1)
    assert codes[negative].tolist() == [0, 0]
    assert np.isnan(block.context["item_age"][negative]).all()
    assert len(set(block.impression_id.tolist())) == 7
    assert counters["negatives"] == 2
    assert counters["negatives_missing"] == 4


def test_equal_rows_have_different_ids():
    rows = [ROWS[3], ROWS[3], (1, 13, 25, CLICK, BOTH)]
    block, _, _ = impressions_of(events_of(rows), PLAIN, None, FIRST)
    assert len(set(block.impression_id.tolist())) == 3


@pytest.mark.parametrize("hour", [24, 25, 49])
def test_nothing_at_or_after_a_moment_changes_earlier_impressions(hour):
    moved = [(u, i + 100, h, CLICK | LIKE, r) if h >= hour else (u, i, h, b, r) for u, i, h, b, r in ROWS]
    first, _, _ = impressions_of(events_of(), PLAIN, None, FIRST)
    second, _, _ = impressions_of(events_of(moved), PLAIN, None, FIRST)
    kept = [i for i in range(len(first)) if first.time[i] < START + hour * HOUR]
    for i in kept:
        twin = second.impression_id.tolist().index(first.impression_id[i])
        assert recents(first, i) == recents(second, twin)
        assert first.reward[i] == second.reward[twin]
    # At the moment itself the candidate is other, what stands before it is not.
    now = np.flatnonzero(first.time == START + hour * HOUR)
    assert [recents(first, i) for i in now if first.item[i] != 10] == [
        recents(second, i) for i in now if first.item[i] != 10
    ]
