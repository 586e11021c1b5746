"""An epoch's order is a permutation, a function of its seed, and any part of it is that of the whole."""

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from tf_e2egrec.subgraphs.epoch_order import EpochOrder

WINDOW = 256 * 256


@pytest.mark.parametrize("rows", [1, 255, 256, 257, WINDOW - 1, WINDOW, WINDOW + 1, 3 * WINDOW + 77])
@pytest.mark.parametrize("seed", [0, 5, 2**62 + 3])
def test_every_row_comes_once(rows, seed):
    found = EpochOrder(rows, seed).take(0, rows + 10)
    np.testing.assert_array_equal(np.sort(found), np.arange(rows))
    assert rows < 3 or (found != np.arange(rows)).any()


@settings(max_examples=60, deadline=None)
@given(st.sampled_from([100, WINDOW + 300, 4 * WINDOW + 1]), st.integers(0, 20), st.data())
def test_a_part_is_that_of_the_whole(rows, seed, data):
    start = data.draw(st.integers(0, rows))
    stop = data.draw(st.integers(start, min(rows, start + 70_000)))
    order = EpochOrder(rows, seed)
    np.testing.assert_array_equal(order.take(start, stop), order.take(0, rows)[start:stop])


def test_without_a_seed_rows_keep_their_order():
    assert EpochOrder(10, None).take(7, 12).tolist() == [7, 8, 9]


def test_seeds_give_different_orders_and_places_are_uniform():
    """The mean place of a row over seeds, and that of its neighbour, are those of independent uniform draws."""
    orders = np.array([EpochOrder(500, seed).take(0, 500) for seed in range(300)])
    assert len(np.unique(orders, axis=0)) == 300
    places = np.argsort(orders, axis=1)
    for row in (0, 255, 256, 499):
        counts = np.bincount(places[:, row] // 100, minlength=5)
        assert scipy.stats.chisquare(counts).pvalue > 1e-4
    assert abs(scipy.stats.spearmanr(places[:, 10], places[:, 11]).statistic) < 0.25


def test_a_window_of_a_long_log_takes_rows_from_everywhere_but_from_few_blocks():
    rows = 20 * WINDOW
    found = EpochOrder(rows, 1).take(0, WINDOW)
    assert scipy.stats.kstest(found / rows, "uniform").statistic < 0.1
    assert len(np.unique(found // 256)) == 256
