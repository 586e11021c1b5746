import itertools
import math

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tf_e2egrec.evaluation.html_report.axis import Axis, tick_text, ticks

ends = st.tuples(st.floats(-1e6, 1e6), st.floats(1e-6, 1e6)).filter(
    lambda pair: pair[1] > 1e-6 * abs(pair[0])
)


@given(ends, st.integers(2, 8))
def test_ticks_are_round_and_evenly_spaced(pair, most):
    low, high = pair[0], pair[0] + pair[1]
    found = ticks(low, high, most)
    slack = 1e-6 * (high - low)
    assert 0 < len(found) <= most
    assert all(low - slack <= value <= high + slack for value in found)
    gaps = [after - before for before, after in itertools.pairwise(found)]
    assert all(math.isclose(gap, gaps[0], rel_tol=1e-3) for gap in gaps)
    if gaps:
        mantissa = gaps[0] / 10 ** math.floor(math.log10(gaps[0]) + 1e-6)
        assert min(abs(mantissa - step) for step in (1, 2, 2.5, 5)) < 1e-2


@given(ends, st.integers(2, 6))
def test_the_texts_of_ticks_are_the_ticks(pair, most):
    found = ticks(pair[0], pair[0] + pair[1], most)
    assume(len(found) > 1)
    texts = [tick_text(value, found) for value in found]
    assert len(set(texts)) == len(texts)
    gap = found[1] - found[0]
    for text, value in zip(texts, found, strict=True):
        assert abs(float(text.replace(",", "")) - value) < 1e-2 * gap


def test_known_ticks():
    assert ticks(0.0, 1.0) == [0.0, 0.25, 0.5, 0.75, 1.0]
    assert ticks(-0.012, 0.031) == [-0.01, 0.0, 0.01, 0.02, 0.03]
    assert Axis(0.9, 3.1, 0, 1).ticks_of_whole_numbers() == [1, 2, 3]
    assert Axis(0.9, 1.1, 0, 1).ticks_of_whole_numbers() == [1]
    assert Axis(-50, 1350, 0, 1).ticks_of_whole_numbers() == [0, 500, 1000]


@given(st.lists(st.floats(-1e3, 1e3), min_size=1), st.floats(0, 100), st.floats(200, 300))
def test_values_lie_on_the_axis_in_order(values, start, end):
    axis = Axis.around([None, float("nan"), *values], start, end)
    places = [axis.at(value) for value in sorted(values)]
    assert places == sorted(places)
    assert start <= places[0] <= places[-1] <= end
    assert axis.at(axis.low) == pytest.approx(start)
    assert axis.at((axis.low + axis.high) / 2) == pytest.approx((start + end) / 2)


def test_an_axis_without_values():
    axis = Axis.around([None], 0, 10)
    assert (axis.low, axis.high) == pytest.approx((-0.05, 1.05))
