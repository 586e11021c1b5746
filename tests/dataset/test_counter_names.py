import pytest

from tf_e2egrec.dataset.counter_names import readable


@pytest.mark.parametrize(
    ("counter", "name"),
    [
        ("duplicate_rows", "rows dropped: exact duplicates"),
        ("interactions.0/bad_rows", "interactions.0: rows dropped: unusable"),
        (
            "interactions.0/bad_rows/watch_s",
            "interactions.0: rows dropped: `watch_s` missing, negative or unreadable",
        ),
        ("items.1/dropped_values/tags", "items.1: values capped: `tags` beyond max_values"),
        ("impressions_valid", "impressions: valid"),
        ("something_else", "something else"),
    ],
)
def test_readable(counter, name):
    assert readable(counter) == name
