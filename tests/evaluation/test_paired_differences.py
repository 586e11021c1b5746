import numpy as np
import pytest
import scipy.stats
from sklearn.metrics import log_loss, ndcg_score, roc_auc_score

from tf_e2egrec.errors import E2EGRecError
from tf_e2egrec.evaluation.paired_differences import (
    BOOTSTRAPPED,
    LabelledRows,
    Predictions,
    paired_differences,
    seed_difference,
    user_weights,
)


def some_rows(n=400, users=25, seed=0):
    rng = np.random.default_rng(seed)
    return LabelledRows(
        reward=rng.integers(0, 2, n).astype("f4"),
        user=rng.integers(0, users, n) * 10**12,
        day=np.where(rng.random(n) < 0.4, "2024-05-02", "2024-05-01"),
        stay=np.where(rng.random(n) < 0.7, rng.lognormal(size=n), np.nan).astype("f4"),
    )


def some_predictions(rows, seed, signal=0.5):
    rng = np.random.default_rng(seed)
    logit = signal * (2 * rows.reward - 1) + rng.normal(size=len(rows.reward))
    return Predictions((1 / (1 + np.exp(-logit))).round(3), np.nan_to_num(rows.stay) + rng.random(len(logit)))


def brute_force(rows, predicted, weight_of_user):
    """The metrics by their definitions, with scikit-learn."""
    weight = np.array([weight_of_user[user] for user in rows.user.tolist()])
    over = {"gauc": 0.0, "ndcg@10": 0.0}
    under = dict.fromkeys(over, 0.0)
    for user in np.unique(rows.user):
        for day in np.unique(rows.day):
            one = (rows.user == user) & (rows.day == day)
            labels, scores = rows.reward[one], predicted.reward[one]
            if len(set(labels)) == 2:
                over["gauc"] += weight_of_user[user] * one.sum() * roc_auc_score(labels, scores)
                under["gauc"] += weight_of_user[user] * one.sum()
            if labels.any():
                best = ndcg_score([labels], [scores], k=10) if len(labels) > 1 else 1.0
                over["ndcg@10"] += weight_of_user[user] * best
                under["ndcg@10"] += weight_of_user[user]
    known = ~np.isnan(rows.stay)
    error = np.abs(rows.stay - predicted.stay)[known]
    return {
        "auc": roc_auc_score(rows.reward, predicted.reward, sample_weight=weight),
        "gauc": over["gauc"] / under["gauc"],
        "logloss": log_loss(rows.reward, predicted.reward.astype(float), sample_weight=weight),
        "ndcg@10": over["ndcg@10"] / under["ndcg@10"],
        "stay_mae": np.average(error, weights=weight[known]),
    }


def test_differences_and_intervals_equal_brute_force():
    rows, draws = some_rows(n=150, users=9), 6
    predicted = {
        model: {seed: some_predictions(rows, 10 * seed + place, signal) for seed in range(2)}
        for place, (model, signal) in enumerate({"R0": 0.3, "R5": 0.6}.items())
    }
    found = paired_differences(rows, predicted, "R5", draws)["R0"]
    users = np.unique(rows.user)

    def difference(weights, seeds):
        of_user = dict(zip(users.tolist(), weights, strict=True))
        ours, theirs = (
            [brute_force(rows, predicted[model][seed], of_user) for seed in seeds] for model in ("R5", "R0")
        )
        pairs = list(zip(ours, theirs, strict=True))
        return {metric: np.mean([a[metric] - b[metric] for a, b in pairs]) for metric in BOOTSTRAPPED}

    plain = difference(np.ones(len(users)), [0, 1])
    by_seed = [difference(np.ones(len(users)), [seed]) for seed in (0, 1)]
    drawn = [difference(user_weights(users, draw), [0, 1]) for draw in range(draws)]
    for metric in BOOTSTRAPPED:
        one = found[metric]
        low, high = np.percentile([d[metric] for d in drawn], [2.5, 97.5])
        assert one["difference"] == pytest.approx(plain[metric], abs=1e-6), metric
        assert (one["low"], one["high"]) == pytest.approx((low, high), abs=1e-6), metric
        error = scipy.stats.sem([d[metric] for d in by_seed])
        assert one["seed_error"] == pytest.approx(error, abs=1e-6), metric
        assert one["seeds"] == 2


@pytest.mark.parametrize("chosen", [("auc",), ("stay_mae",), ("stay_mae", "gauc"), ("ndcg@10", "auc")])
def test_some_metrics_alone_are_what_they_are_among_all(chosen):
    rows = some_rows()
    predicted = {"R0": {0: some_predictions(rows, 1)}, "R5": {0: some_predictions(rows, 2)}}
    every = paired_differences(rows, predicted, "R5", 10)["R0"]
    some = paired_differences(rows, predicted, "R5", 10, metrics=chosen)["R0"]
    assert set(some) == set(chosen)
    for metric in chosen:
        assert some[metric] == pytest.approx(every[metric], abs=1e-12, nan_ok=True)


def test_a_model_differs_from_itself_by_nothing():
    rows = some_rows()
    same = {0: some_predictions(rows, 1)}
    found = paired_differences(rows, {"R5": same, "R0": same}, "R5", 20)["R0"]
    for one in found.values():
        assert (one["difference"], one["low"], one["high"]) == (0.0, 0.0, 0.0)
        assert np.isnan(one["seed_error"])


def test_nothing_depends_on_the_order_of_rows():
    rows = some_rows()
    predicted = {"R0": {0: some_predictions(rows, 1)}, "R5": {0: some_predictions(rows, 2)}}
    order = np.random.default_rng(3).permutation(len(rows.reward))
    shuffled = {model: {0: seeds[0].take(order)} for model, seeds in predicted.items()}
    plain = paired_differences(rows, predicted, "R5", 20)["R0"]
    again = paired_differences(rows.take(order), shuffled, "R5", 20)["R0"]
    for metric in BOOTSTRAPPED:
        assert again[metric] == pytest.approx(plain[metric], abs=1e-9, nan_ok=True)


def test_weights_are_poisson_and_differ_between_draws_and_users():
    users = np.arange(20_000) * 7
    counts = user_weights(users, 3)
    most = 5
    observed = np.bincount(np.minimum(counts, most).astype(int), minlength=most + 1)
    expected = scipy.stats.poisson.pmf(np.arange(most), 1)
    expected = np.r_[expected, 1 - expected.sum()] * len(users)
    assert scipy.stats.chisquare(observed, expected).pvalue > 1e-4
    assert abs(np.corrcoef(counts, user_weights(users, 4))[0, 1]) < 0.03
    np.testing.assert_array_equal(user_weights(users[::-1], 3)[::-1], counts)
    assert (user_weights(users, 3, seed=1) != counts).any()


def test_width_is_that_of_a_bootstrap_over_users_by_scipy():
    rows = some_rows(n=3000, users=150)
    predicted = {"R0": {0: some_predictions(rows, 1, 0.3)}, "R5": {0: some_predictions(rows, 2, 0.5)}}
    ours = paired_differences(rows, predicted, "R5", 800)["R0"]["logloss"]

    def losses(p):
        return -np.log(np.where(rows.reward > 0, p, 1 - p))

    row_difference = losses(predicted["R5"][0].reward) - losses(predicted["R0"][0].reward)
    user = np.unique(rows.user, return_inverse=True)[1]
    sums, sizes = np.bincount(user, row_difference), np.bincount(user)
    theirs = scipy.stats.bootstrap(
        (sums, sizes), lambda over, under, axis: over.sum(axis) / under.sum(axis), paired=True,
        vectorized=True, method="percentile", n_resamples=800, rng=np.random.default_rng(0),
    ).confidence_interval  # fmt: skip
    assert ours["high"] - ours["low"] == pytest.approx(theirs.high - theirs.low, rel=0.15)
    assert ours["low"] == pytest.approx(theirs.low, abs=0.2 * (theirs.high - theirs.low))


def test_intervals_cover_the_truth_where_rows_of_a_user_agree():
    """Users, not rows, are independent here: rows taken for independent would cover about half of the time."""
    covered = []
    for world in range(60):
        rng = np.random.default_rng(world)
        user = np.repeat(np.arange(80), 8)
        reward = rng.integers(0, 2, len(user))
        liked = rng.normal(size=80)[user]  # one model is better on some users, the other on others
        by_model = [1 / (1 + np.exp(-(2 * reward - 1) * (0.5 + sign * 0.3 * liked))) for sign in (-1, 1)]
        rows = LabelledRows(reward, user, np.full(len(user), "all"))
        predicted = {"R0": {0: Predictions(by_model[0])}, "R5": {0: Predictions(by_model[1])}}
        one = paired_differences(rows, predicted, "R5", 100)["R0"]["auc"]
        covered.append(one["low"] <= 0 <= one["high"])
    assert 0.85 <= np.mean(covered) <= 1


def test_without_stay_or_with_one_class_a_metric_is_undefined():
    rows = some_rows()._replace(stay=None)
    predicted = {model: {0: some_predictions(some_rows(), 1)} for model in ("R0", "R5")}
    assert np.isnan(paired_differences(rows, predicted, "R5", 5)["R0"]["stay_mae"]["difference"])
    nothing = rows._replace(reward=np.zeros_like(rows.reward))
    found = paired_differences(nothing, predicted, "R5", 5)["R0"]
    assert np.isnan(found["auc"]["difference"])
    assert np.isnan(found["auc"]["low"])


def test_seeds_must_pair():
    rows = some_rows()
    one = some_predictions(rows, 1)
    with pytest.raises(E2EGRecError, match=r"R0 has the seeds \[1\], R5 \[0\].*train the missing ones"):
        paired_differences(rows, {"R5": {0: one}, "R0": {1: one}}, "R5", 5)


def test_the_error_over_seeds_is_that_of_the_pairs():
    reference, other = [0.70, 0.72, 0.71], [0.69, 0.70, 0.70]
    one = seed_difference(reference, other)
    paired = scipy.stats.ttest_rel(reference, other)
    assert one["difference"] / one["seed_error"] == pytest.approx(paired.statistic)
    assert one["seeds"] == 3
