"""Vocabularies and statistics that a model takes from the training split before it trains."""

import dataclasses
from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from tf_e2egrec.dataset.description import DatasetDescription, FeatureSpec
from tf_e2egrec.dataset.node_table import NodeTable
from tf_e2egrec.errors import E2EGRecError
from tf_e2egrec.layers import FeatureEmbedding, Tower
from tf_e2egrec.losses import DurationQuantiles, fit_duration_quantiles
from tf_e2egrec.models import E2EGRec
from tf_e2egrec.subgraphs.subgraph_dataset import readout_columns


@dataclasses.dataclass(frozen=True)
class TrainingStatistics:
    """What is known of the training split.

    Attributes:
      vocabularies: group (`item`, `user`, `context`) -> feature (`#id` for ids) -> sorted int64 keys.
      moments: group -> numeric feature -> (mean, standard deviation) after the transform.
      reward_rate: share of rewarded impressions.
      mean_log_stay: mean of log(1 + stay seconds), 0 without labels.
      stay_deviation: its standard deviation.
      mean_stay: mean of the stay seconds, 0 without labels.
      duration_quantiles: the tables of the stay loss `d2q`; None with any other.
      item_duration: with `d2q`, float32 mean duration in seconds per item of the vocabulary, NaN where unknown.
    """

    vocabularies: dict[str, dict[str, np.ndarray]]
    moments: dict[str, dict[str, tuple[float, float]]]
    reward_rate: float
    mean_log_stay: float
    stay_deviation: float
    mean_stay: float = 0.0
    duration_quantiles: DurationQuantiles | None = None
    item_duration: np.ndarray | None = None

    def vocabulary_sizes(self) -> dict[str, dict[str, int]]:
        """Sizes by group and feature, ids left out."""
        return {
            group: {name: len(keys) for name, keys in tables.items() if name != "#id"}
            for group, tables in self.vocabularies.items()
        }


def collect_statistics(
    description: DatasetDescription, files: Sequence[str], items: NodeTable, users: NodeTable
) -> TrainingStatistics:
    """Scan the training split once.

    Args:
      description: names the features.
      files: TFRecord files of the training split.
      items, users: node tables with `train_count`.

    Raises:
      E2EGRecError: the training split holds no positive, or nothing but positives.
    """
    columns = _read_columns(description, files)
    rate = float(np.mean(columns["reward"]))
    if not 0 < rate < 1:
        problem = "no positive" if rate == 0 else "nothing but positives"
        mend = "check `ranker.reward`" if rate == 0 else "declare `ranker.negatives` to sample negatives"
        raise E2EGRecError(
            f"the training split holds {problem} ({len(columns['reward'])} impressions); {mend}"
        )
    stay = columns["stay"][np.isfinite(columns["stay"])]
    log_stay = np.log1p(stay)
    vocabularies: dict[str, dict[str, np.ndarray]] = {"context": {}}
    moments: dict[str, dict[str, tuple[float, float]]] = {"context": {}}
    for group, table, features in (
        ("item", items, description.item_features),
        ("user", users, description.user_features),
    ):
        count = table.train_count if table.train_count is not None else np.ones(len(table.key), np.int64)
        known = count > 0
        vocabularies[group] = {"#id": table.key[_has_own_row(description, table, count)]}
        moments[group] = {}
        for feature in features:
            _describe(feature, table.features[feature.name][known], vocabularies[group], moments[group])
    for feature in description.context_features:
        _describe(feature, columns[feature.name], vocabularies["context"], moments["context"])
    quantiles, item_duration = None, None
    if description.model.stay_loss == "d2q":
        quantiles = fit_duration_quantiles(
            columns["stay"], columns["content_duration"], description.model.duration_groups
        )
        item_duration = mean_durations(
            vocabularies["item"]["#id"], columns["item_id"], columns["content_duration"]
        )
    return TrainingStatistics(
        vocabularies=vocabularies,
        moments=moments,
        reward_rate=rate,
        mean_log_stay=float(log_stay.mean()) if len(log_stay) else 0.0,
        stay_deviation=float(log_stay.std()) if len(log_stay) else 1.0,
        mean_stay=float(stay.mean()) if len(stay) else 0.0,
        duration_quantiles=quantiles,
        item_duration=item_duration,
    )


def mean_durations(vocabulary: np.ndarray, item: np.ndarray, duration: np.ndarray) -> np.ndarray:
    """Mean duration of each known item over the impressions that state one.

    Args:
      vocabulary: int64 [items] sorted keys.
      item: int64 [n] keys.
      duration: float32 [n] seconds, NaN where unknown.

    Returns:
      float32 [items], NaN where no impression states one.
    """
    known = np.isfinite(duration) & np.isin(item, vocabulary)
    row = np.searchsorted(vocabulary, item[known])
    count = np.bincount(row, minlength=len(vocabulary))
    total = np.bincount(row, duration[known].astype(np.float64), minlength=len(vocabulary))
    return np.where(count > 0, total / np.maximum(count, 1), np.nan).astype(np.float32)


def _has_own_row(description: DatasetDescription, table: NodeTable, count: np.ndarray) -> np.ndarray:
    """Which ids get an embedding row; bool [n].

    Where the model goes on training through the test days, ids that are born then get rows, too. That tells the
    model nothing: an untrained row is noise.
    """
    if description.evaluation.protocol == "rolling" and table.first_seen is not None:
        return table.first_seen >= 0
    return count >= description.training.min_count


def adapt_model(model: E2EGRec, statistics: TrainingStatistics) -> None:
    """Give a fresh model its vocabularies and moments, and start the heads at the base rates."""
    for encoder, group in model.entity_encoders:
        encoder.id_lookup.set_keys(statistics.vocabularies[group]["#id"])
        _adapt(encoder.feature_embedding, statistics, group)
    _adapt(model.context_embedding, statistics, "context")
    rate = statistics.reward_rate
    _start_at(model.reward_tower, np.log(rate / (1 - rate)))
    if model.stay_tower is not None:
        objective = model.stay_objective
        if statistics.duration_quantiles is not None and statistics.item_duration is not None:
            objective.set_tables(statistics.duration_quantiles, statistics.item_duration)
        start, scale = objective.start_and_scale(
            statistics.mean_log_stay, statistics.stay_deviation, statistics.mean_stay
        )
        _start_at(model.stay_tower, start)
        entropy = -(rate * np.log(rate) + (1 - rate) * np.log(1 - rate))
        # lambda puts both terms of L_LTR on the scale of the first.
        model.stay_weight.assign(entropy / max(scale, 1e-3))


def _read_columns(description: DatasetDescription, files: Sequence[str]) -> dict[str, np.ndarray]:
    dtypes = {"reward": tf.float32, "stay": tf.float32}
    if description.model.stay_loss == "d2q":
        dtypes |= {"content_duration": tf.float32, "item_id": tf.int64}
    dtypes |= {
        f.name: tf.int64 if f.type == "categorical" else tf.float32 for f in description.context_features
    }
    batches = list(readout_columns(files, dtypes).as_numpy_iterator())
    return {name: np.concatenate([batch[name] for batch in batches]) for name in dtypes}


def _describe(
    feature: FeatureSpec,
    values: np.ndarray,
    vocabularies: dict[str, np.ndarray],
    moments: dict[str, tuple[float, float]],
) -> None:
    if feature.hash_buckets is not None:
        return
    if feature.type == "categorical":
        keys, counts = np.unique(values, return_counts=True)
        vocabularies[feature.name] = keys[(keys >= 0) & (counts >= feature.min_count)]
    elif feature.type == "numeric":
        finite = values[np.isfinite(values)].astype(np.float64)
        finite = np.log1p(np.maximum(finite, 0)) if feature.transform == "log1p" else finite
        moments[feature.name] = (float(finite.mean()), float(finite.std())) if len(finite) else (0.0, 1.0)


def _adapt(layer: FeatureEmbedding | None, statistics: TrainingStatistics, group: str) -> None:
    if layer is None:
        return
    for feature in layer.features:
        if feature.name in statistics.vocabularies[group]:
            layer.set_vocabulary(feature.name, statistics.vocabularies[group][feature.name])
        elif feature.type == "numeric":
            layer.set_moments(feature.name, *statistics.moments[group][feature.name])


def _start_at(tower: Tower, value: float) -> None:
    tower.head.bias.assign([value])
