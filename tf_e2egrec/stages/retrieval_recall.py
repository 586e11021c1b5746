"""How many of the validation split's positives a search would have found."""

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import tensorflow as tf
import tensorflow_gnn as tfgnn

from tf_e2egrec.dataset.description import DatasetDescription
from tf_e2egrec.dataset.ids import MISSING_KEY
from tf_e2egrec.export.retrieval_module import RetrievalModule
from tf_e2egrec.graph.snapshots import SnapshotPlan
from tf_e2egrec.stages.run_directory import RunDirectory
from tf_e2egrec.subgraphs.batch_graph import merge_records
from tf_e2egrec.subgraphs.graph_schema import seed_spec
from tf_e2egrec.subgraphs.subgraph_dataset import readout_columns, record_files

MOST_ROWS = 20_000  # of the split, its first: the graph that is searched is of the moment it begins
_BATCH = 256


class Recall(NamedTuple):
    """Shares of positives that are among the k items found for them.

    Attributes:
      k: how many items were asked for.
      rows: positives looked at.
      with_history: those whose user has a recent item that the search knows.
      found: share found by the search.
      popular: share found by popularity, which also leaves recent items out.
      chance: k over the number of items.
    """

    k: int
    rows: int
    with_history: int
    found: float
    popular: float
    chance: float

    @property
    def standard_error(self) -> float:
        """Of `found`, as if rows were independent."""
        return math.sqrt(self.found * (1 - self.found) / self.rows) if self.rows else math.nan


class Positives(NamedTuple):
    """Rewarded impressions.

    Attributes:
      items: int64 [n].
      recent: int64 [n, H], newest first, padded with `MISSING_KEY`.
      num_recent: int32 [n].
    """

    items: np.ndarray
    recent: np.ndarray
    num_recent: np.ndarray


def snapshot_before_validation(run: RunDirectory, description: DatasetDescription) -> int:
    """The graph that served the earliest of the rows: it knows none of them."""
    columns = readout_columns(record_files(run.subgraphs, "valid"), {"time": tf.int64})
    times = columns.unbatch().take(MOST_ROWS).batch(MOST_ROWS)
    earliest = min(int(tf.reduce_min(batch["time"])) for batch in times)
    return int(SnapshotPlan.from_description(description).snapshot_at(np.array(earliest)))


def validation_positives(run: RunDirectory, description: DatasetDescription) -> Iterator[Positives]:
    """Batches of the positives among the first `MOST_ROWS` impressions of the validation split."""
    spec = seed_spec(description)
    records = tf.data.TFRecordDataset(record_files(run.subgraphs, "valid")).take(MOST_ROWS).batch(_BATCH)
    for serialized in records:
        merged = merge_records(tfgnn.parse_example(spec, serialized))
        keys = tf.gather(merged.graph.node_sets["item"]["#id"], merged.place_node)
        places = tf.RaggedTensor.from_row_lengths(keys, merged.places)
        positive = merged.labels["reward"] > 0.5
        chosen = tf.ragged.boolean_mask(places, positive)
        yield Positives(
            items=chosen[:, :1].flat_values.numpy(),
            recent=chosen[:, 1:].to_tensor(MISSING_KEY).numpy(),
            num_recent=tf.boolean_mask(merged.places - 1, positive).numpy(),
        )


def recall(module: RetrievalModule, positives: Iterator[Positives]) -> Recall:
    """Search for the recent items of every positive, and look for its item in the answer."""
    rows = with_history = found = popular = 0
    known = module.keys.numpy()
    for batch in positives:
        recent, number = tf.constant(batch.recent), tf.constant(batch.num_recent)
        found += _hits(module.find(recent, number).keys, batch.items)
        popular += _hits(module.find(recent, number, popular=True).keys, batch.items)
        with_history += int(np.isin(batch.recent, known).any(axis=1).sum())
        rows += len(batch.items)
    count = max(rows, 1)
    return Recall(module.top.k, rows, with_history, found / count, popular / count, module.top.k / len(known))


def _hits(keys: tf.Tensor, items: np.ndarray) -> int:
    return int((keys.numpy() == items[:, np.newaxis]).any(axis=1).sum())
