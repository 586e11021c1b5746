import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from tf_e2egrec.evaluation.paired_differences import LabelledRows, Predictions, paired_differences
from tf_e2egrec.evaluation.slices import bins_of, slice_report, slice_steps

HOUR = 3_600_000
AGE_BINS = {
    "< 1 h": (0, 1), "1-6 h": (1, 6), "6-24 h": (6, 24), "1-3 d": (24, 72), "3-7 d": (72, 168), "≥ 7 d": (168, 10**9),
}  # fmt: skip
COUNT_BINS = {
    "0": (0, 0), "1-4": (1, 4), "5-19": (5, 19), "20-99": (20, 99), "100-999": (100, 999), "≥ 1,000": (1000, 10**9),
}  # fmt: skip
NEAR_BOUNDS = [hours * HOUR + step for hours in (0, 1, 6, 24, 72, 168) for step in (-1, 0, 1)]


@given(st.lists(st.sampled_from(NEAR_BOUNDS), max_size=40))
def test_ages_fall_into_the_bin_whose_bounds_hold_them(ages):
    age = np.array(ages, np.int64)
    bins = bins_of({"item_age": age, "fresh": (age >= 0) & (age < 24 * HOUR)})["item_age"]
    found = {one.name: one.rows.tolist() for one in bins}
    bounds = {**AGE_BINS, "< 1 d": (0, 24)}
    expected = {
        name: [row for row, one in enumerate(ages) if low * HOUR <= one < high * HOUR]
        for name, (low, high) in bounds.items()
    }
    assert found == {name: rows for name, rows in expected.items() if rows}
    assert list(found) == [name for name in bounds if name in found]


@given(st.lists(st.sampled_from([0, 1, 4, 5, 19, 20, 99, 100, 999, 1000, 10**6]), max_size=40))
def test_counts_fall_into_the_bin_whose_bounds_hold_them(counts):
    found = {
        one.name: one.rows.tolist() for one in bins_of({"neighbours": np.array(counts, int)})["neighbours"]
    }
    expected = {
        name: [row for row, one in enumerate(counts) if low <= one <= high]
        for name, (low, high) in COUNT_BINS.items()
    }
    assert found == {name: rows for name, rows in expected.items() if rows}


def some_rows(n=1200):
    rng = np.random.default_rng(0)
    reward = rng.integers(0, 2, n).astype("f4")
    rows = LabelledRows(reward, rng.integers(0, 40, n), np.full(n, "all"))
    predicted = {
        model: {seed: Predictions((signal * reward + rng.normal(size=n)).astype("f4")) for seed in (1, 0)}
        for model, signal in {"R0": 0.3, "R5": 0.8}.items()
    }
    # Counts 0 (many), 1 (with too few positives), 7 (with too few rows).
    activity = np.where(np.arange(n) < 700, 0, 1)
    activity[(activity == 1) & (reward > 0) & (np.cumsum(reward) > 380)] = 0
    activity[-30:] = 7
    return rows, predicted, {"user_activity": activity}


def test_bins_equal_scikit_learn_and_the_differences_of_their_rows():
    rows, predicted, slices = some_rows()
    advanced = []
    report = slice_report(rows, predicted, slices, "R5", 9, lambda: advanced.append(1))["user_activity"]
    found = {one["bin"]: one for one in report}
    assert list(found) == ["0", "1-4", "5-19"]
    zero = slices["user_activity"] == 0
    assert (found["0"]["rows"], found["0"]["positives"]) == (zero.sum(), rows.reward[zero].sum())
    for model, by_seed in predicted.items():
        expected = [roc_auc_score(rows.reward[zero], by_seed[seed].reward[zero]) for seed in (0, 1)]
        spread = found["0"]["auc"][model]
        assert (spread["mean"], spread["std"], spread["n"]) == pytest.approx(
            (np.mean(expected), np.std(expected, ddof=1), 2)
        )
    of_rows = {m: {s: one.take(zero) for s, one in by.items()} for m, by in predicted.items()}
    expected_difference = paired_differences(rows.take(zero), of_rows, "R5", 9)["R0"]["auc"]
    assert found["0"]["differences"] == {"R0": expected_difference}
    assert expected_difference["low"] < expected_difference["difference"] < expected_difference["high"]
    assert len(advanced) == slice_steps(rows, slices, 9) == 9


def test_a_bin_with_too_few_positives_or_negatives_says_so():
    rows, predicted, slices = some_rows()
    found = {one["bin"]: one for one in slice_report(rows, predicted, slices, "R5", 2)["user_activity"]}
    few = {
        name: (int(rows.reward[of].sum()), int((1 - rows.reward[of]).sum()))
        for name, of in (("1-4", slices["user_activity"] == 1), ("5-19", slices["user_activity"] == 7))
    }
    assert few["1-4"][0] < 50 < few["1-4"][1]
    assert found["1-4"]["left_out"] == f"{few['1-4'][0]} positives, fewer than 50"
    assert found["5-19"]["rows"] == 30
    for name in few:
        assert found[name]["auc"] == found[name]["differences"] == {}
    flipped = rows._replace(reward=1 - rows.reward)
    found = {one["bin"]: one for one in slice_report(flipped, predicted, slices, "R5", 2)["user_activity"]}
    assert found["1-4"]["left_out"] == f"{few['1-4'][0]} negatives, fewer than 50"


def test_exactly_fifty_of_both_are_enough():
    reward = np.repeat([0.0, 1.0], 50)
    rows = LabelledRows(reward, np.arange(100) // 4, np.full(100, "all"))
    predicted = {"R5": {0: Predictions(reward)}}
    (one,) = slice_report(rows, predicted, {"neighbours": np.zeros(100, int)}, "R5", 2)["neighbours"]
    assert one["left_out"] is None
    assert one["auc"]["R5"]["mean"] == 1.0
    assert one["differences"] == {}
