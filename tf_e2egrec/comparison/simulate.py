"""The simulation's last step: predictions of requests -> what policies by these predictions would have earned."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

import tf_e2egrec
from tf_e2egrec.comparison.compare_directory import CompareDirectory
from tf_e2egrec.comparison.one_run import PREDICTIONS_FILE
from tf_e2egrec.dataset.description import DatasetDescription
from tf_e2egrec.dataset.ids import hash_uniform
from tf_e2egrec.errors import E2EGRecError
from tf_e2egrec.evaluation.policy_outcomes import CandidateOutcomes, combined_score
from tf_e2egrec.evaluation.simulation_report import build_simulation
from tf_e2egrec.export.ranking_module import STAY_SHARE
from tf_e2egrec.models.model_inputs import ModelInputs
from tf_e2egrec.synthetic.short_video import REQUESTS_TRUTH

SLATES = (1, 5)
_RANDOM_SALT = 0x72616E64
_SCORE = (
    "models rank by the score of an export, reward x (1 + {share:g} x log1p(stay) / log1p({maximum:g})) with the predicted click "
    "probability as the reward and the predicted stay in seconds; `random` draws its scores"
)


def simulate_policies(
    directory: CompareDirectory,
    description: DatasetDescription,
    models: Mapping[str, str],
    seeds: int,
    draws: int,
    advance: Callable[[], object] = lambda: None,
) -> dict[str, Any]:
    """The report of finished runs.

    Args:
      directory: of the comparison; its predictions are those of the requests.
      description: of the data set that `write_short_video` made, with requests.
      models: text of each compared model -> what it is.
      seeds: of each model, 0 to seeds - 1.
      draws: of the bootstrap over users.
      advance: called `len(SLATES) * draws` times.

    Returns:
      What `build_simulation` returned.

    Raises:
      E2EGRecError: the data set has no requests, or predictions are of other rows.
    """
    data = Path(description.data_root)
    if not (data / REQUESTS_TRUTH).exists():
        raise E2EGRecError(
            f"{data} holds no {REQUESTS_TRUTH}; run `e2egrec simulate`, which writes logs with requests"
        )
    truth = pq.read_table(data / REQUESTS_TRUTH).sort_by(
        [("user_id", "ascending"), ("video_id", "ascending")]
    )
    predicted = {
        model: {
            seed: _predictions(directory.predictions(model, seed) / PREDICTIONS_FILE, truth)
            for seed in range(seeds)
        }
        for model in models
    }
    rows = _outcomes(truth, predicted[next(iter(models))][0])
    maximum = ModelInputs.from_description(description, 0, 0, {}).maximum_stay

    def score(reward: np.ndarray, stay: np.ndarray) -> np.ndarray:
        return combined_score(reward, stay, maximum, STAY_SHARE)

    scores = {
        model: {
            seed: score(one["predicted_reward"].to_numpy(), one["predicted_stay"].to_numpy())
            for seed, one in of_model.items()
        }
        for model, of_model in predicted.items()
    }
    bounds = {
        "random": {seed: hash_uniform(seed ^ _RANDOM_SALT, rows.user, rows.item) for seed in range(seeds)},
        "popularity": {0: _clicks_before(data, rows.item, truth["time_ms"])},
        "oracle": {0: rows.expected_stay},
        "oracle-score": {0: score(rows.click_probability, rows.expected_stay)},
    }
    context = {
        "dataset": description.name,
        "regime": description.graph.regime,
        "models": list(models.values()),
        "score": _SCORE.format(share=STAY_SHARE, maximum=maximum),
        "version": tf_e2egrec.__version__,
    }
    return build_simulation(rows, scores, bounds, context, SLATES, draws, advance)


def _predictions(path: Path, truth: pa.Table) -> pa.Table:
    """The predictions of one run in the order of the truth, a row for each of its rows."""
    table = pq.read_table(path).sort_by([("user", "ascending"), ("item", "ascending")])
    for name, known in (("user", "user_id"), ("item", "video_id"), ("time", "time_ms")):
        if not np.array_equal(table[name].to_numpy(), truth[known].to_numpy()):
            raise E2EGRecError(
                f"{path} predicts other rows than the requests of the simulation (`{name}` differs); remove it and run "
                "`e2egrec simulate` again"
            )
    return table


def _outcomes(truth: pa.Table, labels: pa.Table) -> CandidateOutcomes:
    return CandidateOutcomes(
        user=truth["user_id"].to_numpy(),
        item=truth["video_id"].to_numpy(),
        click=labels["reward"].to_numpy(),
        stay=labels["stay"].to_numpy(),
        click_probability=truth["click_probability"].to_numpy(),
        expected_stay=truth["expected_stay_s"].to_numpy(),
    )


def _clicks_before(data: Path, item: np.ndarray, requested: pa.ChunkedArray) -> np.ndarray:
    """How often each item was clicked before the first request, float64 [n]."""
    log = pq.read_table(data / "interactions", columns=["video_id", "time_ms", "is_click"])
    before = log.filter(pc.less(log["time_ms"], pc.min(requested)))
    clicked = before.filter(pc.equal(before["is_click"], 1))["video_id"].to_numpy()
    items, counts = np.unique(clicked, return_counts=True)
    at = np.minimum(np.searchsorted(items, item), len(items) - 1)
    return np.where(items[at] == item, counts[at], 0).astype(np.float64)
