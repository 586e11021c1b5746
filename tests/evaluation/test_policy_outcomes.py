import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tf_e2egrec.errors import E2EGRecError
from tf_e2egrec.evaluation.policy_outcomes import (
    POLICY_METRICS,
    SUMS,
    CandidateOutcomes,
    combined_score,
    policy_metrics,
    policy_outcomes,
    shown_candidates,
)


def random_rows(seed=0, users=9, most=7):
    """Requests of one to `most` candidates, rows in any order; scores with ties."""
    rng = np.random.default_rng(seed)
    size = rng.integers(1, most + 1, users)
    user = np.repeat(rng.permutation(users * 5)[:users], size)
    item = np.concatenate([rng.permutation(50)[:n] for n in size])
    order = rng.permutation(len(user))
    n = len(user)
    rows = CandidateOutcomes(
        user=user[order],
        item=item[order],
        click=rng.integers(0, 2, n).astype("f4"),
        stay=rng.choice([0.0, 2.99, 3.0, 10.0], n).astype("f4"),
        click_probability=rng.random(n),
        expected_stay=rng.exponential(5, n),
    )
    return rows, rng.integers(0, 4, n) / 4.0


def brute_force(rows, score, size):
    """user -> sums, by plain loops."""
    found = {}
    for user in sorted({int(one) for one in rows.user}):
        mine = [row for row in range(len(score)) if rows.user[row] == user]
        mine.sort(key=lambda row: (-score[row], rows.item[row]))
        totals = dict.fromkeys(SUMS, 0.0) | {"users": 1.0}
        for row in mine[:size]:
            totals["exposures"] += 1
            totals["stay"] += float(rows.stay[row])
            totals["plays"] += rows.click[row] == 1
            totals["skips"] += not (rows.click[row] == 1 and rows.stay[row] >= 3)
            totals["expected_stay"] += rows.expected_stay[row]
            totals["expected_plays"] += rows.click_probability[row]
        found[user] = totals
    return found


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10**6), size=st.integers(1, 9))
def test_sums_and_metrics_are_those_of_plain_loops(seed, size):
    rows, score = random_rows(seed)
    expected = brute_force(rows, score, size)
    sums = policy_outcomes(rows, score, size)
    np.testing.assert_allclose(sums, [[one[name] for name in SUMS] for one in expected.values()])
    weights = np.random.default_rng(seed).integers(0, 3, len(sums)) + (np.arange(len(sums)) == 0)
    drawn = [one for one, times in zip(expected.values(), weights, strict=True) for _ in range(times)]

    def ratio(over, under):
        return sum(one[over] for one in drawn) / sum(one[under] for one in drawn)

    figures = dict(zip(POLICY_METRICS, policy_metrics(sums, weights), strict=True))
    assert figures == pytest.approx(
        {
            "stay_per_exposure": ratio("stay", "exposures"),
            "skips_per_user": sum(one["skips"] for one in drawn) / len(drawn),
            "play_rate": ratio("plays", "exposures"),
            "expected_stay_per_exposure": ratio("expected_stay", "exposures"),
            "expected_play_rate": ratio("expected_plays", "exposures"),
        }
    )


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6), size=st.integers(1, 9))
def test_the_order_of_rows_and_a_rising_map_of_scores_change_nothing(seed, size):
    rows, score = random_rows(seed)
    order = np.random.default_rng(seed).permutation(len(score))
    shuffled = CandidateOutcomes(*(column[order] for column in rows))
    expected = policy_outcomes(rows, score, size)
    np.testing.assert_allclose(policy_outcomes(shuffled, np.exp(score[order]) - 7, size), expected)


def test_nobody_earns_more_than_who_knows():
    rows, _ = random_rows(1, users=200)
    rng = np.random.default_rng(2)
    all_users = np.ones(200)
    best = policy_metrics(policy_outcomes(rows, rows.expected_stay, 2), all_users)
    for _ in range(20):
        other = policy_metrics(policy_outcomes(rows, rng.random(len(rows.user)), 2), all_users)
        assert best[3] > other[3]
    everything = policy_metrics(policy_outcomes(rows, rng.random(len(rows.user)), 99), all_users)
    assert everything[0] == pytest.approx(rows.stay.mean())
    assert np.isnan(policy_metrics(policy_outcomes(rows, rows.expected_stay, 2), np.zeros(200))).all()


def test_ties_go_to_the_smaller_item():
    user, item = np.array([5, 5, 5, 1]), np.array([30, 10, 20, 9])
    shown = shown_candidates(user, item, np.array([1.0, 1.0, 2.0, 0.0]), 2)
    assert shown.tolist() == [3, 2, 1]


def test_what_cannot_rank_is_refused():
    rows, score = random_rows()
    with pytest.raises(E2EGRecError, match="give each candidate a score"):
        policy_outcomes(rows, score[1:], 1)
    score[3] = np.nan
    with pytest.raises(E2EGRecError, match="a score is NaN"):
        policy_outcomes(rows, score, 1)


def test_the_score_without_a_stay_is_the_reward():
    reward = np.array([0.1, 0.9], "f4")
    np.testing.assert_array_equal(combined_score(reward, None, 600, 0.5), reward.astype("f8"))
    score = combined_score(reward, np.array([600.0, 0.0]), 600, 0.5)
    np.testing.assert_allclose(score, reward * np.array([1.5, 1.0]))
