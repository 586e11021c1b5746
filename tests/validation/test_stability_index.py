"""The index against scipy's Kullback-Leibler divergences, the cells against numpy and collections."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import entropy

from tf_e2egrec.validation.stability_index import category_cells, numeric_cells, stability_index

COUNTS = st.lists(st.integers(1, 10_000), min_size=2, max_size=12)
VALUES = st.lists(st.floats(-1e6, 1e6, width=32), min_size=1, max_size=200)
KEYS = st.lists(st.integers(-1, 40), min_size=0, max_size=200)


@given(COUNTS, st.randoms(use_true_random=False))
def test_it_is_the_sum_of_both_divergences(before, random):
    now = [random.randint(1, 10_000) for _ in before]
    p, q = np.array(before) / sum(before), np.array(now) / sum(now)
    if min(p.min(), q.min()) > 1e-4:  # smaller shares are rounded up
        assert stability_index(before, now) == pytest.approx(
            entropy(p, q) + entropy(q, p), rel=1e-9, abs=1e-12
        )
    assert stability_index(before, now) == pytest.approx(stability_index(now, before))
    assert stability_index(before, now) >= 0
    assert stability_index(before, [3 * count for count in before]) == pytest.approx(0, abs=1e-12)


def test_empty_cells_are_finite_and_empty_sides_are_not_a_number():
    assert stability_index([10, 0], [0, 10]) == pytest.approx(2 * (1 - 1e-4) * np.log(1e4))
    assert np.isnan(stability_index([0, 0], [1, 1])) and np.isnan(stability_index([1, 1], [0, 0]))


def test_its_expectation_under_equal_distributions():
    """(cells - 1) (1 / n + 1 / m): what the documentation says of small days."""
    rng = np.random.default_rng(0)
    share = rng.dirichlet(np.full(10, 5.0))
    found = [
        stability_index(rng.multinomial(2_000, share), rng.multinomial(3_000, share)) for _ in range(400)
    ]
    assert np.mean(found) == pytest.approx(9 * (1 / 2_000 + 1 / 3_000), rel=0.15)


@given(VALUES, VALUES, st.integers(0, 5), st.integers(0, 5))
def test_numbers_are_counted_by_the_quantiles_of_before(before, now, missing_before, missing_now):
    before, now = np.array(before, "f4"), np.array(now, "f4")
    counts = numeric_cells(
        np.r_[before, np.full(missing_before, np.nan)], np.r_[now, np.full(missing_now, np.nan)], cells=5
    )
    shares = np.linspace(0, 1, 6)[1:-1]
    edges = np.unique(np.quantile(before.astype("f8"), shares, method="higher"))
    for values, count, missing in zip((before, now), counts, (missing_before, missing_now), strict=True):
        assert count[-1] == missing and count.sum() == len(values) + missing
        at_most = [(values <= edge).sum() for edge in edges]
        np.testing.assert_array_equal(np.cumsum(count[:-1])[: len(edges)], at_most)


@given(KEYS, KEYS, st.integers(1, 8))
def test_the_frequent_categories_have_cells_of_their_own(before, now, most):
    counts = category_cells(np.array(before, "i8"), np.array(now, "i8"), most)
    for values, count in zip((before, now), counts, strict=True):
        assert count.sum() == len(values)
    counted = [Counter(values) for values in (before, now)]
    shares = {
        key: sum(counter[key] / max(1, counter.total()) for counter in counted) for key in {*before, *now}
    }
    own = sorted(shares, key=lambda key: (-shares[key], key))[:most]
    # Equal shares may differ by rounding: the counts of the chosen cells are compared by their sizes.
    for values, count in zip(counted, counts, strict=True):
        if len(shares) <= most:
            assert sorted(count[:-1]) == sorted(values[key] for key in own)
    assert len(counts[0]) == min(most, len(shares)) + 1


def test_rows_may_come_in_any_order():
    rng = np.random.default_rng(1)
    before, now = rng.integers(0, 100, 500), rng.integers(0, 90, 500)
    expected = category_cells(before, now)
    shuffled = category_cells(rng.permutation(before), rng.permutation(now))
    for ours, theirs in zip(shuffled, expected, strict=True):
        np.testing.assert_array_equal(ours, theirs)
