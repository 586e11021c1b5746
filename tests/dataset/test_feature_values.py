import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tf_e2egrec.dataset.description.feature_spec import FeatureSpec
from tf_e2egrec.dataset.feature_values import feature_values
from tf_e2egrec.dataset.ids import string_keys
from tf_e2egrec.dataset.read_report import ReadReport
from tf_e2egrec.errors import E2EGRecError


def _values(column, report=None, **spec):
    return feature_values(column, FeatureSpec(name="f", **spec), report or ReadReport(), "items.0")


def _keys(*texts):
    return string_keys(np.array(texts, object)).tolist()


def test_categorical():
    assert _values(pa.array([3, None]), type="categorical").tolist() == [3, -1]
    assert _values(pa.array(["a", ""]), type="categorical").tolist() == [*_keys("a"), -1]
    assert _values(pa.nulls(2), type="categorical").tolist() == [-1, -1]


def test_numeric():
    report = ReadReport()
    values = _values(pa.array(["1.5", "", "free"]), report, type="numeric")
    np.testing.assert_array_equal(values, np.float32([1.5, np.nan, np.nan]))
    assert values.dtype == np.float32
    assert report.counters == {"items.0/unreadable_values/f": 1}


@pytest.mark.parametrize(
    "column",
    [
        pa.array(["a|b| c |d", "", None, " b||b"]),
        pa.array([["a", "b", "c", "d"], [], None, ["b", None, "b"]]),
        pa.array([["a", "b", "c", "d"], [], None, ["b", "", "b"]], pa.large_list(pa.large_string())),
    ],
)
def test_multivalued(column):
    report = ReadReport()
    values = _values(column, report, type="categorical", multivalued=True, max_values=3)
    a, b, c = _keys("a", "b", "c")
    assert values.tolist() == [[a, b, c], [-1, -1, -1], [-1, -1, -1], [b, -1, -1]]
    assert report.counters == {"items.0/dropped_values/f": 1}


@given(st.lists(st.one_of(st.none(), st.lists(st.integers(0, 4), max_size=6)), max_size=10))
def test_multivalued_keeps_the_first_distinct_values_in_order(rows):
    values = _values(pa.array(rows, pa.list_(pa.int32())), type="categorical", multivalued=True, max_values=3)
    for row, kept in zip(rows, values, strict=True):
        distinct = list(dict.fromkeys(row or []))[:3]
        assert kept.tolist() == distinct + [-1] * (3 - len(distinct))


def test_a_column_of_numbers_can_be_multivalued_text():
    assert _values(pa.array([7, None]), type="categorical", multivalued=True, max_values=1).tolist() == [
        _keys("7"),
        [-1],
    ]


@pytest.mark.parametrize(
    "column",
    [
        pa.array([[1.0, 2.0], None, [3.0, None]]),
        pa.array([[1.0, 2.0], None, [3.0, None]], pa.list_(pa.float64(), 2)),
        pa.array(["1|2", "", "3|nan"]),
        pa.array(["1|2", None, "3|"]),
    ],
)
def test_dense(column):
    values = _values(column, type="dense", dimension=2)
    assert values.dtype == np.float32
    assert values.tolist() == [[1, 2], [0, 0], [3, 0]]


def test_slices_of_longer_columns():
    column = pa.array([["x"], ["a", "b"], None, ["b"]]).slice(1)
    a, b = _keys("a", "b")
    values = _values(column, type="categorical", multivalued=True, max_values=2)
    assert values.tolist() == [[a, b], [-1, -1], [b, -1]]
    vectors = pa.FixedSizeListArray.from_arrays(pa.array(np.arange(6.0)), 2).slice(1)
    assert _values(vectors, type="dense", dimension=2).tolist() == [[2, 3], [4, 5]]


@pytest.mark.parametrize(
    ("column", "spec", "said"),
    [
        (pa.array([[1.0]]), {"type": "dense", "dimension": 2}, "has a vector of 1 numbers, but feature `f`"),
        (
            pa.array(["1,2"]),
            {"type": "dense", "dimension": 1},
            "text that is not a number; check `separator`",
        ),
        (pa.array([[1.0]]), {"type": "numeric"}, "where a number is needed"),
        (pa.array([1.5]), {"type": "categorical"}, "fractional"),
        (pa.array([{"a": 1}]), {"type": "categorical", "multivalued": True}, "lists or text are needed"),
    ],
)
def test_what_does_not_fit(column, spec, said):
    with pytest.raises(E2EGRecError, match=f"column `f` .*{said}"):
        _values(column, **spec)
