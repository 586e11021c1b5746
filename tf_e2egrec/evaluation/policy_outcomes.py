"""What a ranking policy would have earned, where the outcome of every candidate is known.

A policy shows the candidates of its highest scores. On logs nobody knows what the others would have earned; in a simulation every
candidate has its outcome, so a policy's result is read off, without propensities or a model of the user.
"""

from typing import NamedTuple

import numpy as np

from tf_e2egrec.errors import E2EGRecError

SKIP_SECONDS = 3.0  # who leaves sooner has skipped, clicked or not

# What an exposure is, summed per user; then the figures that are ratios of such sums.
SUMS = ("exposures", "stay", "skips", "plays", "expected_stay", "expected_plays", "users")
POLICY_METRICS = {
    "stay_per_exposure": ("stay", "exposures"),
    "skips_per_user": ("skips", "users"),
    "play_rate": ("plays", "exposures"),
    "expected_stay_per_exposure": ("expected_stay", "exposures"),
    "expected_play_rate": ("expected_plays", "exposures"),
}


class CandidateOutcomes(NamedTuple):
    """The n candidates of all requests, one request per user.

    Attributes:
      user, item: int64 [n] keys; no pair occurs twice.
      click: 0 or 1 [n], as drawn.
      stay: seconds [n], as drawn.
      click_probability: float64 [n], what the click was drawn from.
      expected_stay: float64 [n] seconds, the mean of what the stay was drawn from.
    """

    user: np.ndarray
    item: np.ndarray
    click: np.ndarray
    stay: np.ndarray
    click_probability: np.ndarray
    expected_stay: np.ndarray


def combined_score(
    reward: np.ndarray, stay: np.ndarray | None, maximum_stay: float, stay_share: float
) -> np.ndarray:
    """What candidates are ranked by, the score of an exported model.

    ``reward * (1 + stay_share * log1p(stay) / log1p(maximum_stay))``, or the reward alone.

    Args:
      reward: probabilities [n].
      stay: expected seconds [n]; None without a stay tower.
      maximum_stay: seconds.
      stay_share: how much the longest stay adds, relative to the reward.

    Returns:
      float64 [n].
    """
    reward = np.asarray(reward, np.float64)
    if stay is None:
        return reward
    return reward * (1.0 + stay_share * np.log1p(np.asarray(stay, np.float64)) / np.log1p(maximum_stay))


def shown_candidates(user: np.ndarray, item: np.ndarray, score: np.ndarray, size: int) -> np.ndarray:
    """The rows that a policy shows: of each user the `size` highest scores; of equal ones those of the smaller item keys.

    Args:
      user, item: int64 [n] keys.
      score: [n].
      size: candidates shown per request; a user with fewer is shown all of them.

    Returns:
      int64 [m] row numbers, by user and then by falling score.

    Raises:
      E2EGRecError: a score is no number, or the lengths differ.
    """
    if len(score) != len(user) or len(item) != len(user):
        raise E2EGRecError(
            f"{len(score)} scores cannot rank {len(user)} candidates; give each candidate a score"
        )
    if np.isnan(score).any():
        raise E2EGRecError("a score is NaN; a policy cannot rank by it; look at the model's predictions")
    order = np.lexsort((item, -score, user))
    of_user = user[order]
    rank = np.arange(len(order)) - np.searchsorted(of_user, of_user)
    return order[rank < size]


def policy_outcomes(rows: CandidateOutcomes, score: np.ndarray, size: int) -> np.ndarray:
    """What each user gets from a policy that shows the best `size` candidates by a score.

    A skip is an exposure without a click, or with a stay under `SKIP_SECONDS`. A play is a click. Every exposure counts with the
    outcome that its row has, wherever it stands in the slate.

    Args:
      rows: outcomes of all candidates.
      score: of the policy, [n].
      size: exposures per request.

    Returns:
      float64 [U, len(SUMS)], users in the order of their keys.

    Raises:
      E2EGRecError: as `shown_candidates`.
    """
    users, place = np.unique(rows.user, return_inverse=True)
    shown = shown_candidates(rows.user, rows.item, score, size)
    click, stay = rows.click[shown].astype(np.float64), rows.stay[shown].astype(np.float64)
    of_exposure = {
        "exposures": np.ones(len(shown)),
        "stay": stay,
        "skips": ((click == 0) | (stay < SKIP_SECONDS)).astype(np.float64),
        "plays": click,
        "expected_stay": rows.expected_stay[shown],
        "expected_plays": rows.click_probability[shown],
    }
    sums = [np.bincount(place[shown], values, len(users)) for values in of_exposure.values()]
    return np.stack([*sums, np.ones(len(users))], axis=1)


def policy_metrics(sums: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The figures of a policy over weighted users.

    Args:
      sums: float64 [U, len(SUMS)], what `policy_outcomes` returned.
      weights: how often each user counts, [U].

    Returns:
      float64, one figure for each of `POLICY_METRICS`: mean stay per exposure (s), skips per user, plays per exposure, and the first
      and the third with the expectation in place of what was drawn. NaN where nobody counts.
    """
    total = dict(zip(SUMS, weights @ sums, strict=True))
    return np.array(
        [
            total[over] / total[under] if total[under] > 0 else np.nan
            for over, under in POLICY_METRICS.values()
        ]
    )
