import datetime

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tf_e2egrec.dataset.time_axis import (
    FOREVER,
    RANK_SCALE,
    day_names,
    milliseconds_from_column,
    parse_duration,
    rank_to_time,
)
from tf_e2egrec.errors import E2EGRecError

_NOON = datetime.datetime(2024, 5, 1, 12, tzinfo=datetime.UTC)
_NOON_MS = int(_NOON.timestamp() * 1000)


@pytest.mark.parametrize(
    ("text", "ms"),
    [
        ("15m", 900_000),
        ("1.5h", 5_400_000),
        ("day", 86_400_000),
        ("250ms", 250),
        ("2w", 1_209_600_000),
        ("all", FOREVER),
    ],
)
def test_durations(text, ms):
    assert parse_duration(text, "graph.snapshots.window", time_is_rank=False) == ms


@pytest.mark.parametrize("value", ["1 fortnight", "0h", "-1h", "", 0.1, 5])
def test_what_is_no_duration_is_refused(value):
    with pytest.raises(E2EGRecError, match=r"`graph.snapshots.refresh` must be a duration.*Received"):
        parse_duration(value, "graph.snapshots.refresh", time_is_rank=False)


def test_durations_of_ranks_are_fractions():
    assert parse_duration(0.1, "k", time_is_rank=True) == RANK_SCALE // 10
    assert parse_duration("all", "k", time_is_rank=True) == FOREVER
    for value in ("1h", 0, 1.5):
        with pytest.raises(E2EGRecError, match="`k` must be a fraction"):
            parse_duration(value, "k", time_is_rank=True)


@pytest.mark.parametrize(("unit", "per_ms"), [("s", 0.001), ("ms", 1), ("us", 1_000), ("ns", 1_000_000)])
@pytest.mark.parametrize("kind", [pa.int64(), pa.float64(), pa.string()])
def test_every_unit_and_type_gives_milliseconds(unit, per_ms, kind):
    ticks = pa.array([int(_NOON_MS * per_ms), None], pa.int64()).cast(kind, safe=False)
    assert milliseconds_from_column(ticks, unit, "t").tolist() == [_NOON_MS, -1]


def test_nanoseconds_keep_their_precision():
    ns = pa.array([_NOON_MS * 1_000_000 + 999_999])
    assert milliseconds_from_column(ns, "ns", "t").tolist() == [_NOON_MS]


@pytest.mark.parametrize(
    "column",
    [
        pa.array(
            ["2024-05-01T12:00:00Z", "2024-05-01 14:00:00+02:00", "2024-05-01T12:00:00", "yesterday", None]
        ),
        pa.array([_NOON, _NOON, _NOON, None, None], pa.timestamp("us", tz="UTC")),
        pa.array([_NOON.replace(tzinfo=None)] * 3 + [None] * 2, pa.timestamp("ns")),
    ],
)
def test_iso_times(column):
    assert milliseconds_from_column(column, "iso", "t").tolist() == [_NOON_MS] * 3 + [-1, -1]


def test_dates_are_midnights():
    column = pa.array([datetime.date(2024, 5, 1)])
    assert milliseconds_from_column(column, "iso", "t").tolist() == [_NOON_MS - 12 * 3_600_000]


def test_a_wrong_unit_is_refused_and_the_right_one_proposed():
    with pytest.raises(E2EGRecError, match=r"`t` read as `s` gives dates.*set `time.unit: ms`"):
        milliseconds_from_column(pa.array([_NOON_MS] * 3), "s", "t")
    with pytest.raises(E2EGRecError, match="no unit fits"):
        milliseconds_from_column(pa.array([1, 2, 3]), "ms", "t")
    with pytest.raises(E2EGRecError, match=r"set `time.unit: iso`"):
        milliseconds_from_column(pa.array([_NOON]), "ms", "t")


def test_a_few_impossible_times_are_unreadable_rows():
    column = pa.array([_NOON_MS, _NOON_MS, 17])
    assert milliseconds_from_column(column, "ms", "t").tolist() == [_NOON_MS, _NOON_MS, -1]


def test_ranks_stay_as_they_are():
    assert milliseconds_from_column(pa.array([0, 5, None]), "rank", "t").tolist() == [0, 5, -1]


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 6)), max_size=30))
def test_rank_to_time_is_the_share_of_earlier_rows(rows):
    rows = sorted(rows)
    user, rank = (np.array([row[i] for row in rows], np.int64) for i in (0, 1))
    time = rank_to_time(user, rank)
    for (u, r), t in zip(rows, time, strict=True):
        own = [other for owner, other in rows if owner == u]
        assert t == sum(other < r for other in own) * RANK_SCALE // len(own)
        assert 0 <= t < RANK_SCALE


def test_day_names():
    assert day_names(np.array([_NOON_MS, _NOON_MS + 86_400_000]), False).tolist() == [
        "2024-05-01",
        "2024-05-02",
    ]
    assert day_names(np.array([3]), True).tolist() == ["all"]
