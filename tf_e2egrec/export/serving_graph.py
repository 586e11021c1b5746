"""`ServingGraph`: the batch graph of a ranking request, from tables the model carries."""

from typing import NamedTuple

import numpy as np
import tensorflow as tf
import tensorflow_gnn as tfgnn

from tf_e2egrec.dataset.description import DatasetDescription
from tf_e2egrec.dataset.ids import MISSING_KEY
from tf_e2egrec.dataset.node_table import NodeTable
from tf_e2egrec.export.rank_request import FreshItems, RankRequest
from tf_e2egrec.export.request_rows import context_rows, fresh_places, listed_candidates, recent_ranks
from tf_e2egrec.graph.neighbour_table import NeighbourTable
from tf_e2egrec.subgraphs.batch_graph import assemble_batch_graph
from tf_e2egrec.subgraphs.feature_table import FeatureTable
from tf_e2egrec.subgraphs.sorted_keys import sorted_rows


class _Edges(NamedTuple):
    """Edges to seeds: source int64 key, target int32 row of the seed, weight float32; each [E]."""

    source: tf.Tensor
    target: tf.Tensor
    weight: tf.Tensor


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
        self.description = description
        sampling = description.graph.sampling
        self.fanout, self.recent_fanout = sampling.deterministic_fanout, sampling.recent_fanout
        width = max(self.fanout, self.recent_fanout, 1)
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

    def __call__(self, request: RankRequest, fresh: FreshItems | None = None) -> tfgnn.GraphTensor:
        """The batch graph of B * C impressions, row-major; padded candidates become unknown items.

        Fresh items are item nodes and seeds of their own, beside the item of the same id that others may have as a
        neighbour or recent item.
        """
        batch, slots = tf.unstack(tf.shape(request.candidates))
        listed = listed_candidates(request)
        candidates = tf.reshape(listed, [-1])
        limit = self.description.graph.recent
        recent_is_valid = tf.reshape(
            recent_ranks(request, listed, limit) > 0, [batch * slots, tf.shape(request.recent)[1]]
        )
        recent_keys = tf.boolean_mask(tf.repeat(request.recent, slots, axis=0), recent_is_valid)
        impression = tf.cast(tf.where(recent_is_valid)[:, 0], tf.int32)

        candidate_seeds, seed_of_candidate = tf.unique(candidates)
        recent_seeds, seed_of_recent = tf.unique(recent_keys)
        seeds = tf.concat([candidate_seeds, recent_seeds], axis=0)
        first_recent, num_seeds = tf.size(candidate_seeds), tf.size(seeds)
        is_recent = tf.range(num_seeds) >= first_recent
        edges = self.edges_of(seeds, tf.where(is_recent, self.recent_fanout, self.fanout))
        if fresh is not None:
            edges = _concatenated(edges, self._fresh_edges(fresh, num_seeds))
        item_ids, position = tf.unique(tf.concat([seeds, edges.source], axis=0))
        item_features, seed_item = self.item_table(item_ids), position[:num_seeds]
        if fresh is not None:
            fresh_keys = tf.reshape(fresh.keys, [-1])
            place, own = fresh_places(listed, fresh.keys)
            seed_item = tf.concat([seed_item, tf.size(item_ids) + tf.range(tf.size(fresh_keys))], axis=0)
            seed_of_candidate = tf.tensor_scatter_nd_update(seed_of_candidate, place, num_seeds + own)
            item_ids = tf.concat([item_ids, fresh_keys], axis=0)
            item_features = {
                name: tf.concat([known, fresh.features[name]], axis=0)
                for name, known in item_features.items()
            }
        users = tf.repeat(request.user, slots)
        counts = tf.math.unsorted_segment_sum(tf.ones_like(impression), impression, batch * slots)
        first_seen = tf.gather(self.first_seen, sorted_rows(self.item_table.keys, candidates) + 1)
        return assemble_batch_graph(
            item_ids=item_ids,
            item_features=item_features,
            seed_item=seed_item,
            swing_source=position[num_seeds:],
            swing_target=edges.target,
            swing_features={"weight": edges.weight, "propagation_weight": edges.weight},
            user_ids=users,
            user_features=self.user_table(users),
            recent_source=first_recent + seed_of_recent,
            recent_target=impression,
            recent_age=tf.zeros_like(impression, tf.float32),
            candidate_seed=seed_of_candidate,
            readout_features=context_rows(
                request,
                first_seen,
                counts,
                self.description.context_features,
                self.description.ranker.computed_from_request,
                self.description.time_is_rank,
            ),
        )

    def edges_of(self, seeds: tf.Tensor, fanout: tf.Tensor | int) -> _Edges:
        """The snapshot's edges to int64 [S] seeds, at most `fanout` (a number, or int32 [S]) to each."""
        rows = sorted_rows(self.anchor_keys, seeds) + 1
        keys, weights = tf.gather(self.neighbour_keys, rows), tf.gather(self.neighbour_weights, rows)
        fanouts = tf.broadcast_to(fanout, tf.shape(seeds))
        exists = (keys != MISSING_KEY) & tf.sequence_mask(fanouts, tf.shape(keys)[1])
        target = tf.cast(tf.where(exists)[:, 0], tf.int32)
        return _Edges(tf.boolean_mask(keys, exists), target, tf.boolean_mask(weights, exists))

    def neighbours_of(self, keys: tf.Tensor) -> tf.Tensor:
        """Neighbours of int64 [n] items, heaviest first and padded with `MISSING_KEY`; int64 [n, width]."""
        return tf.gather(self.neighbour_keys, sorted_rows(self.anchor_keys, keys) + 1)

    def _fresh_edges(self, fresh: FreshItems, first: tf.Tensor) -> _Edges:
        """The edges of fresh items, from the request or else from the table; their seeds start at `first`."""
        used = fresh.weights > 0
        target = tf.cast(tf.where(used)[:, 0], tf.int32)
        given = _Edges(tf.boolean_mask(fresh.neighbours, used), target, tf.boolean_mask(fresh.weights, used))
        fanouts = tf.where(fresh.neighbours_given, 0, self.fanout)
        edges = _concatenated(given, self.edges_of(tf.reshape(fresh.keys, [-1]), fanouts))
        return edges._replace(target=first + edges.target)


def _concatenated(one: _Edges, other: _Edges) -> _Edges:
    return _Edges(*(tf.concat(pair, axis=0) for pair in zip(one, other, strict=True)))


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
