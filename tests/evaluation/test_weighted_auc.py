import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings
from sklearn.metrics import roc_auc_score

from tf_e2egrec.evaluation.weighted_auc import WeightedAuc


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.integers(2, 60), st.sampled_from([2, 5, 10**6]))
def test_equals_the_auc_of_repeated_rows(seed, n, values):
    rng = np.random.default_rng(seed)
    labels, scores = rng.integers(0, 2, n), rng.integers(0, values, n) / values
    cluster = rng.integers(0, 5, n)
    weights = rng.integers(0, 4, 5)
    times = weights[cluster]
    repeated = np.repeat(labels, times), np.repeat(scores, times)
    ours = WeightedAuc(labels, scores, cluster)(weights.astype(float))
    if len(set(repeated[0])) < 2:
        assert np.isnan(ours)
    else:
        assert ours == pytest.approx(roc_auc_score(*repeated), abs=1e-12)


def test_fractional_weights_and_order_of_rows():
    rng = np.random.default_rng(0)
    labels, scores, cluster = rng.integers(0, 2, 400), rng.random(400).round(2), rng.integers(0, 30, 400)
    weights = rng.random(30)
    expected = roc_auc_score(labels, scores, sample_weight=weights[cluster])
    assert WeightedAuc(labels, scores, cluster)(weights) == pytest.approx(expected, abs=1e-12)
    order = rng.permutation(400)
    shuffled = WeightedAuc(labels[order], scores[order], cluster[order])(weights)
    assert shuffled == pytest.approx(expected, abs=1e-12)


def test_one_class_is_undefined():
    assert np.isnan(WeightedAuc(np.ones(3), np.arange(3.0), np.zeros(3, int))(np.ones(1)))
