import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import log_loss, mean_absolute_error, ndcg_score, roc_auc_score

from tf_e2egrec.errors import E2EGRecError
from tf_e2egrec.evaluation.metrics import _inversions, auc, gauc, logloss, mae, ndcg_at_k, xauc

# Few distinct values: many ties.
_ROWS = st.lists(st.tuples(st.integers(0, 1), st.integers(0, 6), st.integers(0, 4)), min_size=1, max_size=60)
_PAIRS = st.lists(st.tuples(st.integers(0, 8), st.integers(0, 8)), max_size=50)


def _columns(rows):
    labels, scores, groups = (np.array(column) for column in zip(*rows, strict=True))
    return labels, scores / 7.0, groups * 10**15 - 3


@given(_ROWS)
def test_auc_is_scikit_learns(rows):
    labels, scores, _ = _columns(rows)
    if len(set(labels)) < 2:
        assert np.isnan(auc(labels, scores))
    else:
        np.testing.assert_allclose(auc(labels, scores), roc_auc_score(labels, scores), rtol=1e-12)


@given(_ROWS)
def test_gauc_weighs_groups_by_impressions(rows):
    labels, scores, groups = _columns(rows)
    each, weights = [], []
    for group in set(groups):
        rows_of = groups == group
        if len(set(labels[rows_of])) == 2:
            each.append(roc_auc_score(labels[rows_of], scores[rows_of]))
            weights.append(rows_of.sum())
    result = gauc(labels, scores, groups)
    assert result.coverage == pytest.approx(sum(weights) / len(labels))
    if each:
        np.testing.assert_allclose(result.value, np.average(each, weights=weights), rtol=1e-12)
    else:
        assert np.isnan(result.value)


@given(_ROWS, st.integers(1, 12))
def test_ndcg_is_the_mean_of_scikit_learns(rows, k):
    labels, scores, groups = _columns(rows)
    each, covered = [], 0
    for group in set(groups):
        rows_of = groups == group
        if labels[rows_of].any():
            covered += rows_of.sum()
            # A document below every other leaves the value alone; scikit-learn refuses a single document.
            padded = np.append(labels[rows_of], 0), np.append(scores[rows_of], -1)
            each.append(ndcg_score([padded[0]], [padded[1]], k=k))
    result = ndcg_at_k(labels, scores, groups, k)
    assert result.coverage == pytest.approx(covered / len(labels))
    if each:
        np.testing.assert_allclose(result.value, np.mean(each), rtol=1e-10)
    else:
        assert np.isnan(result.value)


@given(_ROWS, st.randoms(use_true_random=False))
def test_row_order_does_not_matter(rows, random):
    shuffled = list(rows)
    random.shuffle(shuffled)
    one, other = _columns(rows), _columns(shuffled)
    for metric in (gauc, ndcg_at_k):
        np.testing.assert_allclose(metric(*one), metric(*other), rtol=1e-12)


@given(_ROWS)
def test_logloss_is_scikit_learns(rows):
    labels, scores, _ = _columns(rows)
    probabilities = 0.01 + 0.98 * scores
    np.testing.assert_allclose(logloss(labels, probabilities), log_loss(labels, probabilities, labels=[0, 1]))


def test_logloss_of_certainty_is_finite():
    assert logloss(np.array([1, 0]), np.array([0.0, 0.0])) == pytest.approx(-np.log(1e-7) / 2, rel=1e-6)


@given(_PAIRS)
def test_xauc_counts_pairs(pairs):
    targets = np.array([t for t, _ in pairs], float)
    predictions = np.array([p for _, p in pairs], float)
    right, comparable = 0.0, 0
    for (t1, p1), (t2, p2) in itertools.combinations(pairs, 2):
        if t1 != t2:
            comparable += 1
            right += 0.5 if p1 == p2 else float((t1 < t2) == (p1 < p2))
    result = xauc(targets, predictions)
    assert result.rows == len(pairs)
    if comparable:
        np.testing.assert_allclose(result.value, right / comparable, rtol=1e-12)
    else:
        assert np.isnan(result.value)


@given(_ROWS)
def test_xauc_of_binary_targets_is_the_auc(rows):
    labels, scores, _ = _columns(rows)
    np.testing.assert_allclose(xauc(labels, scores).value, auc(labels, scores), rtol=1e-12)


@settings(max_examples=200)
@given(st.lists(st.integers(0, 40), max_size=40))
def test_inversions(ranks):
    brute = sum(a > b for a, b in itertools.combinations(ranks, 2))
    assert _inversions(np.array(ranks, np.int64)) == brute


def test_xauc_of_many_rows_against_sampled_pairs():
    rng = np.random.default_rng(0)
    targets = rng.lognormal(size=200_000)
    predictions = np.log(targets) + rng.normal(size=len(targets))
    i, j = rng.integers(0, len(targets), (2, 400_000))
    sampled = np.mean((targets[i] < targets[j]) == (predictions[i] < predictions[j]))
    assert xauc(targets, predictions).value == pytest.approx(sampled, abs=0.004)


def test_masked_rows_are_left_out_and_counted():
    targets = np.array([1.0, np.nan, 3.0, 7.0, np.nan])
    predictions = np.array([2.0, np.nan, 3.0, 4.0, 5.0])
    error = mae(targets, predictions)
    assert error == (pytest.approx(mean_absolute_error([1, 3, 7], [2, 3, 4])), 3, 2)
    assert xauc(targets, predictions) == (1.0, 3, 2)


def test_nothing_to_measure_is_nan():
    empty = np.zeros(0)
    values = [auc(empty, empty), gauc(empty, empty, empty).value, ndcg_at_k(empty, empty, empty).value]
    values += [logloss(empty, empty), mae(empty, empty).value, xauc(empty, empty).value]
    assert np.isnan(values).all()
    assert mae(np.array([np.nan]), np.array([1.0])) == (pytest.approx(np.nan, nan_ok=True), 0, 1)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: auc(np.array([0, 1]), np.array([0.1, np.nan])), "1 of 2 predictions are NaN"),
        (lambda: auc(np.array([0, 2]), np.array([0.1, 0.2])), "0 or 1"),
        (lambda: auc(np.array([0, 1]), np.array([0.1])), "one length"),
        (lambda: gauc(np.array([0, 1]), np.array([0.1, 0.2]), np.array([1])), "one length"),
        (lambda: logloss(np.array([0, 1]), np.array([0.1, 1.2])), "probabilities"),
        (lambda: mae(np.array([0.0]), np.array([0.1, 1.2])), "one length"),
        (lambda: xauc(np.array([0.0]), np.array([np.nan])), "NaN"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(E2EGRecError, match=message):
        call()
