"""`ServingGraph`: the batch graph of a ranking request, from tables the model carries."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import tensorflow as tf
import tensorflow_gnn as tfgnn

from tf_e2egrec.dataset.description import DatasetDescription
from tf_e2egrec.dataset.ids import MISSING_KEY
from tf_e2egrec.dataset.node_table import NodeTable
from tf_e2egrec.export.serving_features import derived_features
from tf_e2egrec.graph.neighbour_table import NeighbourTable
from tf_e2egrec.models.empty_graph import missing_features
from tf_e2egrec.subgraphs.batch_graph import assemble_batch_graph
from tf_e2egrec.subgraphs.feature_table import FeatureTable
from tf_e2egrec.subgraphs.sorted_keys import sorted_rows


class RankRequest(NamedTuple):
    """A ranking request after its ids became keys.

    Attributes:
      user: int64 [B].
      time: int64 [B], milliseconds, -1 unknown.
      recent: int64 [B, H], newest first.
      num_recent: int32 [B].
      candidates: int64 [B, C].
      num_candidates: int32 [B].
      context: name -> [B].
    """

    user: tf.Tensor
    time: tf.Tensor
    recent: tf.Tensor
    num_recent: tf.Tensor
    candidates: tf.Tensor
    num_candidates: tf.Tensor
    context: Mapping[str, tf.Tensor]


class ServingGraph(tf.Module):
    """Builds, in plain TensorFlow ops, the graph that the model would have seen in evaluation.

    Neighbours are the heaviest `fanout` of the snapshot, weighted by w ** beta, as in the evaluation records.

    Args:
      description: names and sampling.
      items, users: node tables.
      neighbours: the snapshot's neighbour table.
    """

    def __init__(
        self, description: DatasetDescription, items: NodeTable, users: NodeTable, neighbours: NeighbourTable
    ) -> None:
        super().__init__(name="serving_graph")
        self._description = description
        sampling = description.graph.sampling
        self._fanout, self._recent_fanout = sampling.deterministic_fanout, sampling.recent_fanout
        width = max(self._fanout, self._recent_fanout, 1)
        padded, weights = _padded_neighbours(neighbours, width, sampling.beta)
        self.anchor_keys = tf.Variable(neighbours.items, dtype=tf.int64, trainable=False, name="anchor_keys")
        self.neighbour_keys = tf.Variable(padded, dtype=tf.int64, trainable=False, name="neighbour_keys")
        self.neighbour_weights = tf.Variable(
            weights, dtype=tf.float32, trainable=False, name="neighbour_weights"
        )
        self.item_table = FeatureTable(items, description.item_features)
        self.user_table = FeatureTable(users, description.user_features)
        first_seen = items.first_seen if items.first_seen is not None else np.full(len(items.key), -1)
        self.first_seen = tf.Variable(
            np.r_[-1, first_seen], dtype=tf.int64, trainable=False, name="first_seen"
        )

    def __call__(self, request: RankRequest) -> tfgnn.GraphTensor:
        """The batch graph of B * C impressions, row-major; padded candidates become unknown items."""
        batch, slots = tf.unstack(tf.shape(request.candidates))
        listed = tf.sequence_mask(request.num_candidates, slots)
        candidates = tf.reshape(tf.where(listed, request.candidates, MISSING_KEY), [-1])
        recent, recent_is_valid = self._recent_of_each_candidate(request, candidates, slots)
        impression = tf.cast(tf.where(recent_is_valid)[:, 0], tf.int32)
        recent_keys = tf.boolean_mask(recent, recent_is_valid)

        candidate_seeds, seed_of_candidate = tf.unique(candidates)
        recent_seeds, seed_of_recent = tf.unique(recent_keys)
        seeds = tf.concat([candidate_seeds, recent_seeds], axis=0)
        first_recent = tf.size(candidate_seeds)
        source, target, weight = self._neighbours_of(seeds, first_recent)
        item_ids, position = tf.unique(tf.concat([seeds, source], axis=0))
        users = tf.repeat(request.user, slots)
        counts = tf.math.unsorted_segment_sum(tf.ones_like(impression), impression, batch * slots)
        return assemble_batch_graph(
            item_ids=item_ids,
            item_features=self.item_table(item_ids),
            seed_item=position[: tf.size(seeds)],
            swing_source=position[tf.size(seeds) :],
            swing_target=target,
            swing_features={"weight": weight, "propagation_weight": weight},
            user_ids=users,
            user_features=self.user_table(users),
            recent_source=first_recent + seed_of_recent,
            recent_target=impression,
            recent_age=tf.zeros_like(impression, tf.float32),
            candidate_seed=seed_of_candidate,
            readout_features=self._context(request, candidates, counts, slots),
        )

    def _recent_of_each_candidate(
        self, request: RankRequest, candidates: tf.Tensor, slots: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Recent items per candidate [B * C, H] and which are valid: listed, known, distinct, within the
        limit, not the candidate.
        """
        recent = request.recent
        width = tf.shape(recent)[1]
        listed = tf.sequence_mask(request.num_recent, width) & (recent >= 0)
        earlier = tf.linalg.band_part(tf.ones([width, width], tf.bool), -1, 0) & ~tf.eye(width, dtype=tf.bool)
        same = (recent[:, :, tf.newaxis] == recent[:, tf.newaxis, :]) & listed[:, tf.newaxis, :]
        distinct = listed & ~tf.reduce_any(same & earlier[tf.newaxis], axis=2)
        spread, valid = tf.repeat(recent, slots, axis=0), tf.repeat(distinct, slots, axis=0)
        valid &= spread != candidates[:, tf.newaxis]
        rank = tf.cumsum(tf.cast(valid, tf.int32), axis=1)
        return spread, valid & (rank <= self._description.graph.recent)

    def _neighbours_of(
        self, seeds: tf.Tensor, first_recent: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Edges (neighbour key, seed row, weight) of the seeds; recent items have a smaller fanout."""
        rows = sorted_rows(self.anchor_keys, seeds) + 1
        keys, weights = tf.gather(self.neighbour_keys, rows), tf.gather(self.neighbour_weights, rows)
        is_recent = tf.range(tf.size(seeds)) >= first_recent
        fanout = tf.where(is_recent, self._recent_fanout, self._fanout)
        exists = (keys != MISSING_KEY) & tf.sequence_mask(fanout, tf.shape(keys)[1])
        target = tf.cast(tf.where(exists)[:, 0], tf.int32)
        return tf.boolean_mask(keys, exists), target, tf.boolean_mask(weights, exists)

    def _context(
        self, request: RankRequest, candidates: tf.Tensor, recent_count: tf.Tensor, slots: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        first_seen = tf.gather(self.first_seen, sorted_rows(self.item_table.keys, candidates) + 1)
        derived = derived_features(
            self._description.ranker.computed_from_request,
            tf.repeat(request.time, slots),
            first_seen,
            recent_count,
            self._description.time_is_rank,
        )
        missing = missing_features(self._description.context_features, tf.size(candidates))
        given = {name: tf.repeat(value, slots) for name, value in request.context.items()}
        return missing | given | derived


def _padded_neighbours(table: NeighbourTable, width: int, beta: float) -> tuple[np.ndarray, np.ndarray]:
    """Row 0: no neighbours; row 1 + r: the `width` heaviest of anchor r, padded with `MISSING_KEY` and weight
    0.
    """
    keys = np.full((len(table.items) + 1, width), MISSING_KEY, np.int64)
    weights = np.zeros((len(table.items) + 1, width), np.float32)
    counts = np.minimum(np.diff(table.indptr), width)
    column = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    row = np.repeat(np.arange(len(table.items)), counts)
    source = table.indptr[row] + column
    keys[row + 1, column] = table.neighbours[source]
    weights[row + 1, column] = table.weights[source].astype(np.float64) ** beta
    return keys, weights
