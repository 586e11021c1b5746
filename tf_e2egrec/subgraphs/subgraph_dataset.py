"""Subgraph records as a tf.data.Dataset of (batch graph, labels)."""

from collections.abc import Sequence
from pathlib import Path

import tensorflow as tf
import tensorflow_gnn as tfgnn

from tf_e2egrec.dataset.description import DatasetDescription
from tf_e2egrec.errors import E2EGRecError
from tf_e2egrec.subgraphs.batch_graph import compact
from tf_e2egrec.subgraphs.feature_table import FeatureTable
from tf_e2egrec.subgraphs.graph_schema import READOUT, record_spec

_SHUFFLE_BUFFER = 50_000  # serialised records; about 75 MB with 100 neighbours each


def record_files(directory: Path, split: str) -> list[str]:
    """The TFRecord files of a split, in time order.

    Raises:
      E2EGRecError: there is none.
    """
    files = sorted(str(path) for path in (directory / split).glob("*.tfrecord"))
    if not files:
        raise E2EGRecError(
            f"{directory / split} holds no impressions: the split's dates leave it empty; change `split` in the description, "
            f"then run `e2egrec subgraphs` again"
        )
    return files


def subgraph_dataset(
    files: Sequence[str],
    description: DatasetDescription,
    item_table: FeatureTable,
    user_table: FeatureTable,
    batch_size: int,
    shuffle_seed: int | tf.Tensor | None = None,
    skip: int | tf.Tensor = 0,
) -> tf.data.Dataset:
    """Batches of (batch graph, labels), for `Model.fit`, `evaluate` and `predict`.

    Args:
      files: TFRecord files of subgraphs.
      description: what the records were made from.
      item_table, user_table: the features.
      batch_size: impressions per batch; the last batch may be smaller.
      shuffle_seed: shuffle files and, within a buffer, records, anew at each epoch; None keeps the order of
        the files (time).
      skip: batches at the start that are read, but not parsed, and left out.

    Returns:
      A dataset; parsing and compaction run ahead of the model.
    """
    spec = record_spec(description)

    def to_batch_graph(serialized: tf.Tensor) -> tuple[tfgnn.GraphTensor, dict[str, tf.Tensor]]:
        return compact(tfgnn.parse_example(spec, serialized, validate=False), item_table, user_table)

    records = serialized_records(files, shuffle_seed).batch(batch_size).skip(skip)
    return records.map(to_batch_graph, num_parallel_calls=2, deterministic=True).prefetch(2)


def serialized_records(files: Sequence[str], shuffle_seed: int | tf.Tensor | None) -> tf.data.Dataset:
    """The records of TFRecord files as scalar strings.

    Args:
      files: TFRecord files.
      shuffle_seed: as in `subgraph_dataset`.
    """
    if shuffle_seed is None:
        return tf.data.TFRecordDataset(list(files))
    names = tf.data.Dataset.from_tensor_slices(list(files)).shuffle(len(files), seed=shuffle_seed)
    records = names.interleave(tf.data.TFRecordDataset, cycle_length=8, block_length=16)
    return records.shuffle(_SHUFFLE_BUFFER, seed=shuffle_seed)


def readout_columns(
    files: Sequence[str], columns: dict[str, tf.DType], batch_size: int = 4096
) -> tf.data.Dataset:
    """Only some `_readout` features of the records, batched: name -> [B]; nothing else is parsed."""
    features = {
        f"nodes/{READOUT}.{name}": tf.io.FixedLenFeature([], dtype) for name, dtype in columns.items()
    }
    prefix = f"nodes/{READOUT}."

    def parse(serialized: tf.Tensor) -> dict[str, tf.Tensor]:
        parsed = tf.io.parse_example(serialized, features)
        return {name.removeprefix(prefix): value for name, value in parsed.items()}

    return tf.data.TFRecordDataset(list(files)).batch(batch_size).map(parse, num_parallel_calls=2).prefetch(2)
