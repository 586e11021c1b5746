import numpy as np
import pyarrow as pa
import pytest

from tf_e2egrec.dataset.canonical import canonicalise, columns_of_log
from tf_e2egrec.dataset.ids import KEY_BITS, string_keys
from tf_e2egrec.dataset.read_report import ReadReport
from tf_e2egrec.errors import E2EGRecError

T = 1_714_564_800_000  # 2024-05-01 12:00 UTC
ROWS = {
    "user": [1, 2, 3, 4],
    "item": [10, 11, 12, 13],
    "time": [T, T + 1, T + 2, T + 3],
    "click": [1, 0, 1, 1],
}


def _canonical(description, log=0, **changes):
    report = ReadReport(origin="log.parquet")
    table = pa.table({name: column for name, column in {**ROWS, **changes}.items() if column is not None})
    return canonicalise(table, description.interactions[log], log, description, report), report


def test_a_plain_log(describe):
    events, report = _canonical(describe())
    assert events.user.tolist() == [1, 2, 3, 4]
    assert events.item.tolist() == [10, 11, 12, 13]
    assert events.time.tolist() == ROWS["time"]
    assert events.behaviours.tolist() == [1, 0, 1, 1]
    assert events.role.tolist() == [3, 3, 3, 3]
    assert np.isnan(events.stay).all()
    assert np.isnan(events.content_duration).all()
    assert events.session.tolist() == [-1] * 4
    dtypes = {name: getattr(events, name).dtype for name in ("user", "behaviours", "role", "stay", "session")}
    assert dtypes == {
        "user": "int64",
        "behaviours": "uint32",
        "role": "uint8",
        "stay": "float32",
        "session": "int64",
    }
    assert report.counters == {
        "interactions.0/rows_read": 4,
        "interactions.0/bad_rows": 0,
        "filtered_rows": 0,
        "ranker_rows": 4,
        "reward_rows": 3,
        "graph_rows": 4,
        "graph_positive_rows": 3,
    }


def test_behaviour_bits_follow_the_description_over_all_logs(describe):
    logs = [
        {"behaviours": {"click": {"column": "click"}, "view": {"always": True}}},
        {
            "behaviours": {
                "buy": {"column": "event", "in": ["buy"]},
                "view": {"column": "seconds", "at_least": 3},
            }
        },
    ]
    description = describe(logs=logs)
    assert description.behaviour_names == ["click", "view", "buy"]
    assert _canonical(description)[0].behaviours.tolist() == [3, 2, 3, 3]
    events, _ = _canonical(description, log=1, event=["buy", "x", None, "buy"], seconds=[1, 3, 4, 5])
    assert events.behaviours.tolist() == [4, 2, 2, 6]


def test_items_of_two_domains_never_meet(describe):
    description = describe(logs=[{"domain": "video"}, {"domain": "goods"}])
    video, goods = _canonical(description, 0)[0], _canonical(description, 1)[0]
    assert video.item.tolist() == [10, 11, 12, 13]
    assert (goods.item & (2**KEY_BITS - 1)).tolist() == [10, 11, 12, 13]
    assert (goods.item >> KEY_BITS == 1).all()
    assert goods.user.tolist() == video.user.tolist()


def test_bad_rows_are_left_out_counted_and_shown(describe):
    stay = {"column": "stay", "content_duration": "length", "content_unit": "ms", "maximum": 100}
    events, report = _canonical(
        describe(log={"stay": stay}),
        user=[1, None, 3, 4],
        time=[T, T, None, T],
        stay=["7.5", "3", "", "-2"],
        length=[1500, None, 1, 1],
    )
    assert events.user.tolist() == [1]
    assert events.stay.tolist() == [7.5]
    assert events.content_duration.tolist() == [1.5]
    bad = {name: rows for name, rows in report.counters.items() if "bad_rows" in name}
    assert bad == {
        "interactions.0/bad_rows": 3,
        "interactions.0/bad_rows/user": 1,
        "interactions.0/bad_rows/time": 1,
        "interactions.0/bad_rows/stay": 1,
    }
    assert report.examples == {
        "interactions.0/bad_rows/user": ["missing"],
        "interactions.0/bad_rows/time": ["missing"],
        "interactions.0/bad_rows/stay": ["-2"],
    }
    assert report.counters["ranker_rows"] == 1


def test_at_most_three_examples_are_kept(describe):
    _, report = _canonical(describe(log={"stay": {"column": "stay"}}), stay=["d", "c", "b", "a"])
    assert report.examples == {"interactions.0/bad_rows/stay": ["a", "b", "c"]}


def test_stay_is_cut_to_its_maximum_and_missing_is_no_label(describe):
    spec = {"column": "stay", "unit": "min", "maximum": 90}
    events, _ = _canonical(describe(log={"stay": spec}), stay=[1.0, 2.0, None, 0.0])
    np.testing.assert_array_equal(events.stay, np.float32([60, 90, np.nan, 0]))


@pytest.mark.parametrize(
    ("unit", "seconds"), [("us", 1e-6), ("ms", 1e-3), ("s", 1), ("min", 60), ("h", 3600), ("d", 86_400)]
)
def test_units_of_the_stay(describe, unit, seconds):
    spec = {"column": "stay", "unit": unit, "maximum": 1e9}
    events, _ = _canonical(describe(log={"stay": spec}), stay=[2.0] * 4)
    np.testing.assert_allclose(events.stay, np.float32([2 * seconds] * 4), rtol=1e-6)


def test_context_features_of_several_logs(describe):
    logs = [
        {
            "context": [
                {"name": "device", "type": "categorical"},
                {"name": "place", "column": "pos", "type": "numeric"},
            ]
        },
        {"context": [{"name": "price", "type": "numeric"}]},
        {"feeds": "graph", "context": [{"name": "unused", "type": "numeric"}]},
    ]
    description = describe(logs=logs, graph={"regime": "cross-domain"}, ranker={"derived": ["hour_of_day"]})
    first, _ = _canonical(description, 0, device=["a", "", None, "b"], pos=[1, None, -0.0, 2])
    a, b = string_keys(np.array(["a", "b"], object))
    assert first.context["device"].tolist() == [a, -1, -1, b]
    np.testing.assert_array_equal(first.context["place"], np.float32([1, np.nan, 0, 2]))
    assert not np.signbit(first.context["place"][2])
    assert np.isnan(first.context["price"]).all()
    second, _ = _canonical(description, 1, price=["1.5", "2", "free", "3"])
    assert second.context["price"].tolist() == [1.5, 2.0, 3.0]
    third, _ = _canonical(description, 2)
    for events in (first, second, third):
        assert {name: values.dtype for name, values in events.context.items()} == {
            "device": "int64",
            "place": "float32",
            "price": "float32",
        }


def test_sessions_are_keyed_by_log_and_only_for_gaps(describe):
    gap = {"gap_to_next": True}
    logs = [{"stay": {**gap, "session": "s"}}, {"stay": gap}, {"stay": {"column": "stay"}}]
    description = describe(logs=logs)
    assert _canonical(description, 0, s=[7, 7, None, 8])[0].session.tolist() == [7, 7, -1, 8]
    assert (_canonical(description, 1)[0].session == 1 << KEY_BITS).all()
    assert (_canonical(description, 2, stay=[1, 2, 3, 4])[0].session == -1).all()


def test_filtered_rows_are_left_out_and_counted(describe):
    events, report = _canonical(describe(ranker={"rows": [{"column": "tab", "in": [1]}]}), tab=[1, 2, 2, 1])
    assert events.user.tolist() == [1, 4]
    assert report.counters["filtered_rows"] == 2
    assert report.counters["ranker_rows"] == report.counters["graph_rows"] == 2


def test_kinds_of_ids_are_noted(describe):
    context = [{"name": "device", "type": "categorical"}]
    _, report = _canonical(describe(log={"context": context}), user=["a", "b", "c", "d"], device=pa.nulls(4))
    assert report.kinds == {
        "user ids": {"text": "`log.parquet` (column `user`)"},
        "item ids of domain `item`": {"integers": "`log.parquet` (column `item`)"},
    }


def test_columns_without_any_value(describe):
    events, report = _canonical(describe(), user=pa.nulls(4), time=pa.nulls(4), click=pa.nulls(4))
    assert len(events) == 0
    assert report.counters["interactions.0/bad_rows"] == 4


def test_an_empty_table(describe):
    empty = pa.array([], pa.int64())
    events, report = _canonical(describe(), user=empty, item=empty, time=empty, click=empty)
    assert len(events) == 0
    assert report.counters["interactions.0/rows_read"] == 0


def test_columns_of_a_log_and_who_names_them(describe):
    log = {
        "stay": {"gap_to_next": True, "session": "s"},
        "context": [{"name": "place", "column": "pos", "type": "numeric"}],
        "behaviours": {"click": {"column": "event", "in": [1]}, "like": {"column": "event", "in": [2]}},
    }
    description = describe(log=log, ranker={"rows": [{"column": "tab", "in": [1]}, {"users_share": 0.5}]})
    assert columns_of_log(description.interactions[0], 0, description) == {
        "user": "interactions.0.user",
        "item": "interactions.0.item",
        "time": "interactions.0.time.column",
        "event": "interactions.0.behaviours.click.column",
        "s": "interactions.0.stay.session",
        "pos": "interactions.0.context.0",
        "tab": "ranker.rows.0.column",
    }


def test_more_behaviours_than_bits(describe):
    behaviours = {f"b{i}": {"always": True} for i in range(32)} | {"click": {"always": True}}
    with pytest.raises(E2EGRecError, match="33 behaviours; at most 32"):
        _canonical(describe(log={"behaviours": behaviours}))
