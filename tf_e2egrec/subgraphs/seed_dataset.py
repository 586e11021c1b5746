"""Impressions whose neighbours come from neighbour tables, as a tf.data.Dataset of (batch graph, labels)."""

from collections.abc import Sequence
from typing import Literal

import tensorflow as tf
import tensorflow_gnn as tfgnn

from tf_e2egrec.dataset.description import DatasetDescription
from tf_e2egrec.subgraphs.batch_graph import Labels, assemble_batch_graph
from tf_e2egrec.subgraphs.feature_table import FeatureTable
from tf_e2egrec.subgraphs.placed_impressions import PlacedImpressions, impression_parser
from tf_e2egrec.subgraphs.seed_sampler import SeedSampler
from tf_e2egrec.subgraphs.subgraph_dataset import serialized_records

Resample = Literal["never", "epoch", "step"]

_DTYPES = [tf.int64, tf.int32, tf.int64, tf.int32, tf.float32, tf.float32]  # of `SampledSeeds`


def seed_dataset(
    files: Sequence[str],
    description: DatasetDescription,
    item_table: FeatureTable,
    user_table: FeatureTable,
    sampler: SeedSampler,
    batch_size: int,
    shuffle_seed: int | tf.Tensor | None = None,
    resample: Resample = "never",
    resample_seed: int | tf.Tensor = 0,
    skip: int | tf.Tensor = 0,
) -> tf.data.Dataset:
    """Batches of (batch graph, labels): those of `subgraph_dataset`, but the neighbours are sampled here.

    Args:
      files: TFRecord files of impressions; neighbours in them are not read.
      description: what the records were made from.
      item_table, user_table: the features.
      sampler: takes the neighbours from the tables.
      batch_size: impressions per batch; the last batch may be smaller.
      shuffle_seed: as in `subgraph_dataset`; the same seed gives the same batches.
      resample: `never`: the sample that records hold; `epoch`, `step`: another one each time the dataset is
        iterated, or for each batch.
      resample_seed: of the samples; the k-th iteration draws the same ones in every run.
      skip: as in `subgraph_dataset`.

    Returns:
      A dataset. Sampling runs in this process, beside the model and mostly without Python's lock; a batch graph
      holds a seed once where records repeat it.
    """
    parse = impression_parser(description)

    def to_batch_graph(serialized: tf.Tensor, epoch: tf.Tensor) -> tuple[tfgnn.GraphTensor, Labels]:
        return with_neighbours(parse(serialized), sampler, epoch, item_table, user_table)

    batches = serialized_records(files, shuffle_seed).batch(batch_size)
    numbered = tf.data.Dataset.zip((batches, _epochs(resample, resample_seed))).skip(skip)
    return numbered.map(to_batch_graph, num_parallel_calls=2, deterministic=True).prefetch(2)


def with_neighbours(
    batch: PlacedImpressions,
    sampler: SeedSampler,
    epoch: tf.Tensor,
    item_table: FeatureTable,
    user_table: FeatureTable,
) -> tuple[tfgnn.GraphTensor, Labels]:
    """Turn parsed impressions into (batch graph, labels), as `compact` does with records.

    Args:
      batch: the impressions.
      sampler: takes the neighbours from the tables.
      epoch: int64 scalar, see `SeedSampler`.
      item_table, user_table: where the features come from.
    """
    arguments = [batch.place_key, batch.places, batch.readout["time"], epoch]
    sampled = tf.numpy_function(sampler, arguments, _DTYPES, stateful=False)
    for tensor in sampled:
        tensor.set_shape([None])
    seed_key, seed_of_place, source, target, weight, propagation_weight = sampled
    item_ids, position = tf.unique(tf.concat([seed_key, source], axis=0))
    result = assemble_batch_graph(
        item_ids=item_ids,
        item_features=item_table(item_ids),
        seed_item=position[: tf.size(seed_key)],
        swing_source=position[tf.size(seed_key) :],
        swing_target=target,
        swing_features={"weight": weight, "propagation_weight": propagation_weight},
        user_ids=batch.user,
        user_features=user_table(batch.user),
        recent_source=tf.gather(seed_of_place, batch.recent_place),
        recent_target=batch.recent_target,
        recent_age=batch.recent_age,
        candidate_seed=tf.gather(seed_of_place, batch.first_place),
        readout_features=batch.readout,
    )
    return result, batch.labels


def _epochs(resample: Resample, seed: int | tf.Tensor) -> tf.data.Dataset:
    """The number that `SeedSampler` calls epoch, for each batch; 0 is the sample of the records."""
    if resample == "never":
        return tf.data.Dataset.from_tensors(tf.constant(0, tf.int64)).repeat()
    numbers = tf.data.Dataset.random(seed, rerandomize_each_iteration=True).map(lambda number: number + 1)
    if resample == "step":
        return numbers
    return numbers.take(1).flat_map(lambda number: tf.data.Dataset.from_tensors(number).repeat())
