import numpy as np
import pyarrow as pa
import pytest

from tf_e2egrec.dataset.column_values import infer_text, is_one_of, numbers_from_column, where_happened
from tf_e2egrec.dataset.description.behaviour_spec import BehaviourSpec
from tf_e2egrec.errors import E2EGRecError


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (["1", "", " 2 "], pa.array([1, None, 2])),
        (["1", "2.5"], pa.array([1.0, 2.5])),
        (["true", "False", ""], pa.array([True, False, None])),
        (["1", "x"], pa.array(["1", "x"])),
        (["0x1f", "0x2f"], pa.array(["0x1f", "0x2f"])),
        (["", ""], pa.nulls(2)),
        ([], pa.nulls(0)),
        ([str(2**70)], pa.array([float(2**70)])),
    ],
)
def test_text_takes_the_narrowest_type_that_all_cells_allow(cells, expected):
    assert infer_text(pa.array(cells, pa.string())).equals(expected)


@pytest.mark.parametrize(
    ("column", "values", "unreadable"),
    [
        (pa.array([1, None, -3], pa.int16()), [1, np.nan, -3], [0, 0, 0]),
        (pa.array([True, False]), [1, 0], [0, 0]),
        (pa.array([1.5, float("inf"), float("nan")]), [1.5, np.nan, np.nan], [0, 0, 0]),
        (pa.array(["1.5", " 2", "", None]), [1.5, 2, np.nan, np.nan], [0, 0, 0, 0]),
        (pa.array(["1.5", "soon", ""]), [1.5, np.nan, np.nan], [0, 1, 0]),
        (pa.nulls(2), [np.nan, np.nan], [0, 0]),
    ],
)
def test_numbers(column, values, unreadable):
    numbers, bad = numbers_from_column(column, "c")
    np.testing.assert_array_equal(numbers, values)
    np.testing.assert_array_equal(bad, np.array(unreadable, bool))


def test_lists_are_no_numbers():
    with pytest.raises(E2EGRecError, match=r"column `c` has type list.*number is needed"):
        numbers_from_column(pa.array([[1]]), "c")


@pytest.mark.parametrize(
    ("column", "listed", "expected"),
    [
        (pa.array([1, 2, None]), [1, "2"], [1, 1, 0]),
        (pa.array([1.0, 2.5]), [2.5], [0, 1]),
        (pa.array([1, 2]), [1.5], [0, 0]),
        (pa.array([2**60 + 1, 2**60]), [2**60 + 1], [1, 0]),
        (pa.array(["a", "1", None, "true"]), ["a", 1, True], [1, 1, 0, 1]),
        (pa.array([True, False]), [True], [1, 0]),
        (pa.nulls(1), ["a"], [0]),
    ],
)
def test_is_one_of(column, listed, expected):
    np.testing.assert_array_equal(is_one_of(column, listed, "c"), np.array(expected, bool))


def test_text_cannot_be_looked_for_among_numbers():
    with pytest.raises(E2EGRecError, match="column `c` holds numbers, but `in` lists the text `home`"):
        is_one_of(pa.array([1]), ["home"], "c")


@pytest.mark.parametrize(
    ("spec", "column", "expected"),
    [
        ({}, pa.array([2, 0, None]), [1, 0, 0]),
        ({}, pa.array([True, False]), [1, 0]),
        ({"at_least": 4}, pa.array([3, 4, None, 5]), [0, 1, 0, 1]),
        ({"in": ["buy"]}, pa.array(["buy", "view", None]), [1, 0, 0]),
    ],
)
def test_where_a_behaviour_happened(spec, column, expected):
    happened, unreadable = where_happened(column, BehaviourSpec(column="c", **spec), "c")
    np.testing.assert_array_equal(happened, np.array(expected, bool))
    assert not unreadable.any()


def test_text_that_is_no_number_is_an_unreadable_behaviour():
    happened, unreadable = where_happened(pa.array(["1", "yes"]), BehaviourSpec(column="c"), "c")
    assert happened.tolist() == [True, False]
    assert unreadable.tolist() == [False, True]
