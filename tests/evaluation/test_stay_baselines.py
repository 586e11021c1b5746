import itertools

import numpy as np
import pytest

from tf_e2egrec.evaluation.paired_differences import LabelledRows, Predictions, user_weights
from tf_e2egrec.evaluation.stay_baselines import stay_report

DRAWS = 8


def some_rows(n=120):
    rng = np.random.default_rng(1)
    stay = np.where(rng.random(n) < 0.7, rng.lognormal(size=n), np.nan).astype("f4")
    rows = LabelledRows(rng.integers(0, 2, n), rng.integers(0, 12, n), np.full(n, "all"), stay)
    predicted = {
        model: {seed: Predictions(rng.random(n), (np.nan_to_num(stay) + noise * rng.random(n)).astype("f4")) for seed in (0, 1)}
        for model, noise in {"R0": 2.0, "R5": 0.5}.items()
    }  # fmt: skip
    baselines = {"constant": np.full(n, 1.5, "f4"), "coarse": np.nan_to_num(stay).round().astype("f4")}
    return rows, predicted, baselines


def share_of_ordered_pairs(stay, predicted):
    right, pairs = 0.0, 0
    for i, j in itertools.combinations(range(len(stay)), 2):
        if stay[i] != stay[j]:
            pairs += 1
            agree = (stay[i] - stay[j]) * (predicted[i] - predicted[j])
            right += 1.0 if agree > 0 else 0.5 if agree == 0 else 0.0
    return right / pairs


def test_baselines_have_the_errors_of_their_definition():
    rows, predicted, baselines = some_rows()
    found = stay_report(rows, predicted, baselines, DRAWS)
    known = ~np.isnan(rows.stay)
    assert found["rows"] == known.sum()
    for name, seconds in baselines.items():
        errors = found["baselines"][name]
        assert errors["stay_mae"] == pytest.approx(np.abs(rows.stay - seconds)[known].mean(), rel=1e-6)
        assert errors["xauc"] == pytest.approx(share_of_ordered_pairs(rows.stay[known], seconds[known]))
    assert found["baselines"]["constant"]["xauc"] == 0.5


def test_differences_are_the_models_minus_the_baselines_and_draw_whole_users():
    rows, predicted, baselines = some_rows()
    found = stay_report(rows, predicted, baselines, DRAWS)["differences"]
    assert {model: set(one) for model, one in found.items()} == {model: set(baselines) for model in predicted}
    known = ~np.isnan(rows.stay)
    users, cluster = np.unique(rows.user[known], return_inverse=True)
    for model, baseline in itertools.product(predicted, baselines):
        rows_of_seed = [
            np.abs(rows.stay - one.stay)[known] - np.abs(rows.stay - baselines[baseline])[known]
            for one in predicted[model].values()
        ]
        drawn = [
            np.mean([np.average(d, weights=user_weights(users, draw)[cluster]) for d in rows_of_seed])
            for draw in range(DRAWS)
        ]
        one = found[model][baseline]
        assert one["difference"] == pytest.approx(np.mean(rows_of_seed), abs=1e-6)
        assert (one["low"], one["high"]) == pytest.approx(tuple(np.percentile(drawn, [2.5, 97.5])), abs=1e-6)
        assert one["seeds"] == 2
    assert found["R5"]["constant"]["difference"] < 0  # better than a constant


def test_without_labels_or_baselines_there_is_nothing_to_say():
    rows, predicted, baselines = some_rows()
    assert stay_report(rows, predicted, {}, DRAWS) == {}
    assert stay_report(rows._replace(stay=None), predicted, baselines, DRAWS) == {}
    assert stay_report(rows._replace(stay=np.full_like(rows.stay, np.nan)), predicted, baselines, DRAWS) == {}
