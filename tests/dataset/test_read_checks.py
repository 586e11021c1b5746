import pyarrow as pa
import pytest

from tf_e2egrec.dataset.read_checks import check_counts, check_report
from tf_e2egrec.dataset.read_report import ReadReport
from tf_e2egrec.errors import E2EGRecError

GOOD = {
    "interactions.0/rows_read": 1000,
    "interactions.0/bad_rows": 10,
    "interactions.0/bad_rows/user": 3,
    "interactions.0/bad_rows/time": 8,
    "ranker_rows": 500,
    "reward_rows": 5,
    "graph_rows": 900,
    "graph_positive_rows": 100,
}


def test_good_counts_pass(describe):
    check_counts(GOOD, describe())


def test_too_many_bad_rows_name_the_worst_column_and_examples(describe):
    counters = {**GOOD, "interactions.0/bad_rows": 11}
    report = ReadReport(
        counters=counters, examples={"interactions.0/bad_rows/time": ["-5", "missing", "soon"]}
    )
    with pytest.raises(E2EGRecError) as caught:
        check_report(report, describe())
    assert str(caught.value) == (
        "11 of 1000 rows of `log.parquet` cannot be used (`bad_rows` allows a share of 0.01): "
        "column `time` is missing, negative or unreadable in 8 rows; found there: -5, missing, soon"
    )
    check_report(report, describe(bad_rows=0.011))


def test_a_behaviour_written_as_words_is_told_of_in(describe):
    counters = {
        **GOOD, "interactions.0/bad_rows": 1000, "interactions.0/bad_rows/time": 0, "interactions.0/bad_rows/click": 990,
    }  # fmt: skip
    description = describe()
    column = next(iter(description.interactions[0].behaviours.values())).column
    counters[f"interactions.0/bad_rows/{column}"] = 1000
    examples = {f"interactions.0/bad_rows/{column}": ["no", "yes"]}
    with pytest.raises(E2EGRecError, match=r"found there: no, yes; where .* `in: \[yes\]`"):
        check_counts(counters, description, examples)


@pytest.mark.parametrize(
    ("counter", "said"),
    [
        ("interactions.0/rows_read", "the log `log.parquet` .* has no rows; check `interactions.0.paths`"),
        ("ranker_rows", "no row is left to train the ranker; check `ranker.rows`"),
        ("reward_rows", "the reward `click` never happens in the ranker's rows"),
        ("graph_rows", "no row is left to make the graph; check `graph.rows`"),
        ("graph_positive_rows", r"no row of the graph has `graph.positive` \(click\)"),
    ],
)
def test_what_must_not_be_empty(describe, counter, said):
    with pytest.raises(E2EGRecError, match=said):
        check_counts({**GOOD, counter: 0}, describe())
    with pytest.raises(E2EGRecError, match=said):
        check_counts({name: rows for name, rows in GOOD.items() if name != counter}, describe())


def test_ids_of_two_kinds_are_refused(describe):
    report = ReadReport(counters=GOOD)
    report.origin = "a.csv"
    report.add_kind("user ids", "u", pa.int32())
    report.add_kind("user ids", "u", pa.null())
    check_report(report, describe())
    report.origin = "b.csv"
    report.add_kind("user ids", "u", pa.string())
    with pytest.raises(E2EGRecError, match=r"user ids are integers in `a.csv` .* but text in `b.csv`"):
        check_report(report, describe())


def test_reports_merge_in_any_order():
    first, second = ReadReport(origin="a"), ReadReport(origin="b")
    first.count("rows", 2)
    second.count("rows", 3)
    second.count("bad", 0)
    for value in "dbe":
        first.add_examples("bad", [value])
    second.add_examples("bad", ["c", "a", "b"])
    for report in (first, second):
        report.add_kind("user ids", "u", pa.large_string())
    merged = ReadReport.merged([first.to_json(), second.to_json()])
    assert merged == ReadReport.merged([second.to_json(), ReadReport.merged([first.to_json()]).to_json()])
    assert merged.counters == {"rows": 5, "bad": 0}
    assert merged.examples == {"bad": ["a", "b", "c"]}
    assert merged.kinds == {"user ids": {"text": "`a` (column `u`)"}}
