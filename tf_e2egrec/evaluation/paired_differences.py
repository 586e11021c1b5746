"""Differences between models on the same rows, with intervals over users and errors over seeds.

Two sources of chance are kept apart. Users: a bootstrap that draws whole users, because the impressions of one user are not
independent; per draw every metric is taken as the mean over seeds, so its interval says what other users of the same kind would
have shown. Seeds: the standard error of the difference over seeds, each seed of one model against the same seed of the other.

A draw weighs a user by a Poisson(1) number, which is a hash of (seed, draw, user): the usual bootstrap counts without their fixed
sum, which matters to no ratio, and they depend neither on the order of rows nor on the model.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from tf_e2egrec.dataset.ids import hash_uniform
from tf_e2egrec.errors import E2EGRecError
from tf_e2egrec.evaluation.metrics import auc_by_group, ndcg_by_group
from tf_e2egrec.evaluation.weighted_auc import WeightedAuc

# XAUC has no sum over users that a draw could weigh: it gets the error over seeds alone (`build_report`).
BOOTSTRAPPED = ("auc", "gauc", "logloss", "ndcg@10", "stay_mae")
_LEVEL = 95.0
_PROBABILITY_FLOOR = 1e-7
_BOOTSTRAP_SALT = 0x626F6F74
# P(Poisson(1) <= k); beyond 14 there is less than the resolution of the hash that could be seen in 10^9 draws.
_POISSON = np.cumsum([math.exp(-1.0) / math.factorial(k) for k in range(15)])


class LabelledRows(NamedTuple):
    """The n rows that every model predicted.

    Attributes:
      reward: 0 or 1 [n].
      user: int64 [n].
      day: str [n].
      stay: seconds [n], NaN where unknown; None without stay labels.
    """

    reward: np.ndarray
    user: np.ndarray
    day: np.ndarray
    stay: np.ndarray | None = None

    def take(self, rows: np.ndarray) -> "LabelledRows":
        """Some of the rows."""
        stay = None if self.stay is None else self.stay[rows]
        return LabelledRows(self.reward[rows], self.user[rows], self.day[rows], stay)


class Predictions(NamedTuple):
    """What one model of one seed predicts.

    Attributes:
      reward: probabilities [n].
      stay: seconds [n]; None without a stay tower.
    """

    reward: np.ndarray
    stay: np.ndarray | None = None

    def take(self, rows: np.ndarray) -> "Predictions":
        """Those of some of the rows."""
        return Predictions(self.reward[rows], None if self.stay is None else self.stay[rows])


Predicted = Mapping[str, Mapping[int, Predictions]]
Difference = dict[str, float | int]
Differences = dict[str, dict[str, Difference]]


def user_weights(users: np.ndarray, draw: int, seed: int = 0) -> np.ndarray:
    """How often each user counts in one draw: Poisson(1), float64 [U].

    Args:
      users: int64 [U] keys.
      draw: number of the draw.
      seed: of the bootstrap.
    """
    uniform = hash_uniform(seed ^ _BOOTSTRAP_SALT, draw, users)
    return np.searchsorted(_POISSON, uniform, side="right").astype(np.float64)


def paired_differences(
    rows: LabelledRows,
    predicted: Predicted,
    reference: str,
    draws: int = 200,
    seed: int = 0,
    advance: Callable[[], object] = lambda: None,
    metrics: Sequence[str] = BOOTSTRAPPED,
) -> Differences:
    """The reference model's metrics minus those of every other model.

    Args:
      rows: labels.
      predicted: model -> seed -> predictions of these rows; all models have the same seeds.
      reference: the model whose gain is asked for.
      draws: of the bootstrap.
      seed: of the bootstrap.
      advance: called after each draw.
      metrics: some of `BOOTSTRAPPED`; labels and predictions that only other metrics need are not looked at.

    Returns:
      other model -> metric -> `difference` (mean over seeds), `low` and `high` (95 % interval over
      users: percentiles of the draws), `seed_error` (standard error over the paired seeds; NaN with one seed), `seeds`.
      NaN where a metric is undefined.

    Raises:
      E2EGRecError: models have other seeds than the reference.
    """
    for model, by_seed in predicted.items():
        if sorted(by_seed) != sorted(predicted[reference]):
            raise E2EGRecError(
                f"{model} has the seeds {sorted(by_seed)}, {reference} {sorted(predicted[reference])}: paired differences "
                "need the same seeds; train the missing ones"
            )
    users, cluster = np.unique(rows.user, return_inverse=True)
    names = tuple(name for name in BOOTSTRAPPED if name in metrics)
    of_models = {
        model: [_UserMetrics(rows, one, cluster, names) for _, one in sorted(by_seed.items())]
        for model, by_seed in predicted.items()
    }
    whole = np.ones(len(users))
    points = {model: np.array([one(whole) for one in seeds]) for model, seeds in of_models.items()}
    drawn: dict[str, list[np.ndarray]] = {model: [] for model in of_models}
    for draw in range(draws):
        weights = user_weights(users, draw, seed)
        for model, seeds in of_models.items():
            drawn[model].append(np.mean([one(weights) for one in seeds], axis=0))
        advance()
    return {
        other: _summary(
            names, points[reference] - points[other], np.array(drawn[reference]) - np.array(drawn[other])
        )
        for other in predicted
        if other != reference
    }


def seed_difference(
    reference: Sequence[float] | np.ndarray, other: Sequence[float] | np.ndarray
) -> Difference:
    """One metric by paired seeds: the fields of `paired_differences`, without an interval over users (NaN)."""
    by_seed = np.asarray(reference, np.float64) - np.asarray(other, np.float64)
    error = by_seed.std(ddof=1) / math.sqrt(len(by_seed)) if len(by_seed) > 1 else np.nan
    return {
        "difference": float(by_seed.mean()),
        "low": float("nan"),
        "high": float("nan"),
        "seed_error": float(error),
        "seeds": len(by_seed),
    }


class _UserMetrics:
    """The metrics of one model of one seed, as functions of the users' weights."""

    def __init__(
        self, rows: LabelledRows, predicted: Predictions, cluster: np.ndarray, names: Sequence[str]
    ) -> None:
        n_users = int(cluster.max()) + 1
        self._auc = WeightedAuc(rows.reward, predicted.reward, cluster) if "auc" in names else None
        ratios = [name for name in names if name != "auc"]
        sums = [_sums(*_terms(name, rows, predicted, cluster), n_users) for name in ratios]
        self._over = np.array([over for over, _ in sums]).reshape(-1, n_users)
        self._under = np.array([under for _, under in sums]).reshape(-1, n_users)

    def __call__(self, weights: np.ndarray) -> np.ndarray:
        """In the order of `BOOTSTRAPPED`; float64 [metrics], NaN where undefined."""
        under = self._under @ weights
        ratios = np.where(under > 0, self._over @ weights / np.where(under > 0, under, 1), np.nan)
        return ratios if self._auc is None else np.r_[self._auc(weights), ratios]


def _terms(
    name: str, rows: LabelledRows, predicted: Predictions, cluster: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The terms of a metric that is a weighted mean: user, value (NaN: does not count) and weight of each."""
    if name in ("gauc", "ndcg@10"):
        days, day = np.unique(rows.day, return_inverse=True)
        group = cluster * len(days) + day
        each = (auc_by_group if name == "gauc" else ndcg_by_group)(rows.reward, predicted.reward, group)
        weight = each.size if name == "gauc" else np.ones(len(each.size))
        return each.group // len(days), each.value, weight
    if name == "logloss":
        reward = rows.reward.astype(np.float64)
        p = np.clip(predicted.reward.astype(np.float64), _PROBABILITY_FLOOR, 1 - _PROBABILITY_FLOOR)
        return cluster, -(reward * np.log(p) + (1 - reward) * np.log1p(-p)), np.ones(len(reward))
    error = np.full(len(cluster), np.nan)
    if rows.stay is not None and predicted.stay is not None:
        error = np.abs(rows.stay.astype(np.float64) - predicted.stay)
    return cluster, error, np.ones(len(error))


def _sums(
    user: np.ndarray, value: np.ndarray, weight: np.ndarray, n_users: int
) -> tuple[np.ndarray, np.ndarray]:
    """Per user, the weighted sum of the values that are not NaN, and the sum of their weights."""
    known = ~np.isnan(value)
    user, value, weight = user[known], value[known], weight[known].astype(np.float64)
    return np.bincount(user, value * weight, n_users), np.bincount(user, weight, n_users)


def _summary(names: Sequence[str], by_seed: np.ndarray, drawn: np.ndarray) -> dict[str, Difference]:
    """Rows of seeds and of draws, [.., metrics] -> the fields of each metric."""
    found = {}
    for column, metric in enumerate(names):
        values = drawn[:, column]
        values = values[~np.isnan(values)]
        tail = (100.0 - _LEVEL) / 2
        low, high = np.percentile(values, [tail, 100.0 - tail]) if len(values) else (np.nan, np.nan)
        of_seeds = seed_difference(by_seed[:, column], np.zeros(len(by_seed)))
        found[metric] = of_seeds | {"low": float(low), "high": float(high)}
    return found
