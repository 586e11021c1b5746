import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.calibration import calibration_curve as sklearn_curve

from tf_e2egrec.evaluation.calibration import calibration_curve, calibration_report
from tf_e2egrec.evaluation.paired_differences import LabelledRows, Predictions


def some_rows(n=1000, digits=9, seed=0):
    rng = np.random.default_rng(seed)
    p = np.round(rng.beta(1, 4, n), digits).astype("f4")
    return (rng.random(n) < p**1.5).astype("f4"), p


@pytest.mark.parametrize("digits", [9, 1])  # 1: a tenth of the predictions is equal, and quantiles coincide
@pytest.mark.parametrize("bins", [20, 7])
def test_the_bins_are_those_of_scikit_learn(digits, bins):
    labels, p = some_rows(digits=digits)
    found = calibration_curve(labels, p, bins)
    observed, predicted = sklearn_curve(labels, p.astype("f8"), n_bins=bins, strategy="quantile")
    np.testing.assert_allclose(found["observed"], observed)
    np.testing.assert_allclose(found["predicted"], predicted)
    assert (len(found["rows"]) < bins) == (digits == 1)
    if digits == 9:
        assert max(found["rows"]) - min(found["rows"]) <= 2


def test_the_error_is_the_weighted_distance():
    labels, p = some_rows(n=403)
    found = calibration_curve(labels, p)
    edges = np.quantile(p.astype("f8"), np.linspace(0, 1, 21))
    parts = []
    for place in range(20):
        low, high = edges[place], edges[place + 1]
        inside = (p <= high) if place == 0 else (p > low) & (p <= high)
        parts.append(inside.sum() * abs(labels[inside].mean() - p[inside].mean(dtype="f8")))
    assert found["ece"] == pytest.approx(sum(parts) / 403)
    assert sum(found["rows"]) == 403


@given(st.lists(st.tuples(st.booleans(), st.floats(0, 1, width=32)), min_size=1, max_size=60))
def test_order_does_not_matter_and_means_are_kept(pairs):
    labels = np.array([label for label, _ in pairs], "f4")
    p = np.array([value for _, value in pairs], "f4")
    found = calibration_curve(labels, p)
    backwards = calibration_curve(labels[::-1], p[::-1])
    assert found["rows"] == backwards["rows"]
    np.testing.assert_allclose(found["predicted"], backwards["predicted"])
    np.testing.assert_allclose(np.dot(found["rows"], found["observed"]) / len(p), labels.mean())
    np.testing.assert_allclose(np.dot(found["rows"], found["predicted"]) / len(p), p.mean(dtype="f8"))
    assert 0 <= found["ece"] <= 1
    assert np.all(np.diff(found["predicted"]) > 0)


def test_without_rows_there_is_no_error():
    found = calibration_curve(np.zeros(0), np.zeros(0))
    assert found["rows"] == []
    assert np.isnan(found["ece"])


def test_a_model_of_two_seeds():
    labels, p = some_rows()
    rows = LabelledRows(labels, np.zeros(len(p)), np.zeros(len(p)))
    report = calibration_report(rows, {"R0": {1: Predictions(p), 0: Predictions(p / 2)}})
    assert list(report["R0"]["per_seed"]) == ["0", "1"]
    errors = [calibration_curve(labels, p / 2)["ece"], calibration_curve(labels, p)["ece"]]
    assert report["R0"]["ece"] == pytest.approx(
        {"mean": np.mean(errors), "std": np.std(errors, ddof=1), "n": 2}
    )
    assert report["R0"]["per_seed"]["0"]["ece"] == errors[0]
    assert report["R0"]["mean_predicted"]["mean"] == pytest.approx(0.75 * p.mean(dtype="f8"))
    assert report["R0"]["observed"] == pytest.approx(labels.mean())
