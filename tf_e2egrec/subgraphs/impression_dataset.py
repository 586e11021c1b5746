"""Impressions as a tf.data.Dataset of (batch graph, labels), with neighbours from the records or from neighbour tables."""

import dataclasses
from typing import Literal

import numpy as np
import tensorflow as tf
import tensorflow_gnn as tfgnn

from tf_e2egrec.dataset.ids import hash_keys
from tf_e2egrec.subgraphs.batch_graph import Labels, assemble_batch_graph
from tf_e2egrec.subgraphs.epoch_order import EpochOrder
from tf_e2egrec.subgraphs.feature_table import FeatureTable
from tf_e2egrec.subgraphs.graph_schema import LABELS
from tf_e2egrec.subgraphs.impression_records import ImpressionRecords
from tf_e2egrec.subgraphs.seed_sampler import SeedSampler
from tf_e2egrec.subgraphs.share import Share

Resample = Literal["never", "epoch", "step"]

_EPOCH_BITS = 62  # of the numbers that tell samples apart, so that they stay positive
# Of `_BatchSource.__call__`.
_DTYPES = [
    *(tf.int64, tf.int64, tf.int32, tf.float32, tf.float32),
    *(tf.int32, tf.int32, tf.int32, tf.float32, tf.int64, tf.int64, tf.float32),
]


def impression_dataset(
    records: ImpressionRecords,
    item_table: FeatureTable,
    user_table: FeatureTable,
    batch_size: int,
    sampler: SeedSampler | None = None,
    *,
    seed: int | tf.Tensor | None = None,
    shuffles: bool = False,
    resample: Resample = "never",
    skip: int | tf.Tensor = 0,
    share: Share | None = None,
) -> tf.data.Dataset:
    """Batches of (batch graph, labels), for `Model.fit`, `evaluate` and `predict`.

    Args:
      records: the impressions.
      item_table, user_table: the features.
      batch_size: impressions per (global) batch; the last batch may be smaller.
      sampler: takes the neighbours from tables; None: the records have them.
      seed: of order and samples; the k-th iteration of a dataset has its own ones, the same in every run.
      shuffles: whether impressions are shuffled (`EpochOrder`); they keep the order of the files (time) otherwise, and without a seed.
      resample: `never`: the sample that records hold; `epoch`, `step`: another one each time the dataset is iterated, or for each
        batch. With a sampler and a seed.
      skip: batches at the start that are left out; they cost nothing.
      share: the parts of each batch that are read, one after the other; the others do not change them.

    Returns:
      A dataset. Each batch is read, decoded and sampled in this process, beside the model and mostly without Python's lock. With a
      sampler, a batch graph holds a seed once where records repeat it.
    """
    share = Share() if share is None else share
    source = _BatchSource(records, sampler, batch_size, shuffles and seed is not None, resample, share)
    names = records.int_columns, records.float_columns

    def batch_graph(number: tf.Tensor, place: tf.Tensor) -> tuple[tfgnn.GraphTensor, Labels]:
        arrays = tf.numpy_function(source, [number, place], _DTYPES, stateful=False)
        return _assemble(arrays, names, item_table, user_table)

    def of_iteration(number: tf.Tensor) -> tf.data.Dataset:
        places = tf.data.Dataset.range(
            tf.cast(skip, tf.int64) * share.count, share.batches(len(records), batch_size) * share.count
        )
        return places.map(
            lambda place: batch_graph(number, place), num_parallel_calls=2, deterministic=True
        ).prefetch(2)

    if seed is None:
        return of_iteration(tf.constant(0, tf.int64))
    numbers = tf.data.Dataset.random(seed, rerandomize_each_iteration=True)
    return numbers.take(1).flat_map(of_iteration)


@dataclasses.dataclass(frozen=True)
class _BatchSource:
    """From the number of an iteration and a place in it to the arrays of a batch.

    Attributes: see `impression_dataset`.
    """

    records: ImpressionRecords
    sampler: SeedSampler | None
    batch_size: int
    shuffles: bool
    resample: Resample
    share: Share

    def __call__(self, number: np.ndarray, place: np.ndarray) -> tuple[np.ndarray, ...]:
        """The arrays of `_DTYPES`."""
        seed, (step, part) = int(number), divmod(int(place), self.share.count)
        order = EpochOrder(len(self.records), seed if self.shuffles else None)
        start = step * self.batch_size
        first, last = self.share.bounds(part, min(self.batch_size, order.rows - start))
        batch = self.records.read(order.take(start + first, start + last))
        sampled: tuple[np.ndarray, ...]
        if self.sampler is None:
            sampled = batch.place_key, batch.swing_source, batch.swing_target, batch.swing_weight, batch.swing_propagation  # fmt: skip
            first_seed, recent_seed = batch.first_place, batch.recent_place
        else:
            time = batch.ints[self.records.int_columns.index("time")]
            seeds = self.sampler(batch.place_key, batch.places, time, self._epoch(seed, step))
            sampled = seeds.key, seeds.source, seeds.target, seeds.weight, seeds.propagation_weight
            first_seed, recent_seed = (
                seeds.seed_of_place[places] for places in (batch.first_place, batch.recent_place)
            )
        return (
            *sampled, first_seed, recent_seed, batch.recent_target, batch.recent_age, batch.user, batch.ints, batch.floats,
        )  # fmt: skip

    def _epoch(self, seed: int, step: int) -> int:
        """What `SeedSampler` calls epoch; 0 is the sample of the records."""
        if self.resample == "never":
            return 0
        keys = (1, step) if self.resample == "step" else (0,)
        return 1 + (int(hash_keys(seed, *keys)) >> (64 - _EPOCH_BITS))


def _assemble(
    arrays: list[tf.Tensor],
    names: tuple[tuple[str, ...], tuple[str, ...]],
    item_table: FeatureTable,
    user_table: FeatureTable,
) -> tuple[tfgnn.GraphTensor, Labels]:
    *vectors, ints, floats = arrays
    for vector in vectors:
        vector.set_shape([None])
    key, source, target, weight, propagation, first_seed, recent_seed, recent_target, age, user = vectors
    readout: dict[str, tf.Tensor] = {}
    for columns, values in zip(names, (ints, floats), strict=True):
        values.set_shape([len(columns), None])
        readout |= dict(zip(columns, tf.unstack(values), strict=True))
    labels = {name: readout.pop(name) for name in LABELS}
    # Seeds first: what is but a neighbour stands behind.
    item_ids, position = tf.unique(tf.concat([key, source], axis=0))
    seed_item, swing_source = tf.split(position, [tf.size(key), tf.size(source)])
    graph = assemble_batch_graph(
        item_ids=item_ids,
        item_features=item_table(item_ids),
        seed_item=seed_item,
        swing_source=swing_source,
        swing_target=target,
        swing_features={"weight": weight, "propagation_weight": propagation},
        user_ids=user,
        user_features=user_table(user),
        recent_source=recent_seed,
        recent_target=recent_target,
        recent_age=age,
        candidate_seed=first_seed,
        readout_features=readout,
    )
    return graph, labels
