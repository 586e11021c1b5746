"""From a batch of subgraph records to one compact graph, the model's input.

A batch repeats popular items thousands of times. The batch graph holds each item once, and names the places
where an item needs its own neighbourhood (candidates and recent items, each under its own snapshot) *seeds*:

* node set `item` [U]: distinct items, `#id` and features; those that are but neighbours last.
* node set `seed` [S]: candidates and recent items; `item` int32 is the row in the item node set.
* node set `user` [B], `_readout` [B]: one each per impression; context features on `_readout`.
* edge set `swing` item -> seed, sorted by target; `weight`, `propagation_weight`.
* edge set `recent` seed -> user, sorted by target, newest first; `age`.
* edge sets `_readout/candidate` seed -> _readout and `_readout/user` user -> _readout.
"""

from collections.abc import Mapping
from typing import NamedTuple

import tensorflow as tf
import tensorflow_gnn as tfgnn

from tf_e2egrec.subgraphs.feature_table import FeatureTable
from tf_e2egrec.subgraphs.graph_schema import LABELS, READOUT

Labels = dict[str, tf.Tensor]


class MergedRecords(NamedTuple):
    """Parsed records as one graph.

    Attributes:
      graph: the records' components, one after the other.
      places: int32 [B], 1 + number of recent items of each record; its first nodes are these places.
      place_node: int32 [P] row of each place among the item nodes.
      first_place: int32 [B] the candidates' places.
      recent_place: int32 [R] the places where the edges of `recent` start.
      to_place: int32 [B]; a record's item node of row n is place n + to_place, if it is one.
      readout: features of `_readout`, without labels.
      labels: `reward` and `stay`, float32 [B].
    """

    graph: tfgnn.GraphTensor
    places: tf.Tensor
    place_node: tf.Tensor
    first_place: tf.Tensor
    recent_place: tf.Tensor
    to_place: tf.Tensor
    readout: dict[str, tf.Tensor]
    labels: Labels


def merge_records(batch: tfgnn.GraphTensor) -> MergedRecords:
    """Merge a parsed batch, a GraphTensor of shape [B], and number the places that need a neighbourhood."""
    num_recent = _sizes(batch.edge_sets["recent"])
    graph = batch.merge_batch_to_components()
    places = 1 + num_recent
    node_start = tf.cumsum(_sizes(batch.node_sets["item"]), exclusive=True)
    place_start = tf.cumsum(places, exclusive=True)
    to_place = place_start - node_start  # neighbours of earlier records are nodes, but no places
    readout = dict(graph.node_sets[READOUT].get_features_dict())
    labels = {name: readout.pop(name) for name in LABELS}
    return MergedRecords(
        graph=graph,
        places=places,
        place_node=tf.ragged.range(node_start, node_start + places).flat_values,
        first_place=place_start,
        recent_place=tf.cast(graph.edge_sets["recent"].adjacency.source, tf.int32)
        + tf.repeat(to_place, num_recent),
        to_place=to_place,
        readout=readout,
        labels=labels,
    )


def compact(
    batch: tfgnn.GraphTensor, item_table: FeatureTable, user_table: FeatureTable
) -> tuple[tfgnn.GraphTensor, Labels]:
    """Turn a parsed batch of records into (batch graph, labels).

    Args:
      batch: GraphTensor of shape [B] as `tfgnn.parse_example` returns it.
      item_table, user_table: where the features come from.

    Returns:
      The batch graph, and the labels `reward` and `stay` float32 [B] (stay in seconds, NaN where unknown).
    """
    merged = merge_records(batch)
    graph = merged.graph
    nodes = graph.node_sets["item"]["#id"]
    # Places first: what is but a neighbour stands behind.
    unique_ids, item = tf.unique(tf.concat([tf.gather(nodes, merged.place_node), nodes], axis=0))
    place_item, item_of_node = tf.split(item, [tf.size(merged.place_node), tf.size(nodes)])
    swing, recent = graph.edge_sets["swing"], graph.edge_sets["recent"]
    num_swing = _sizes(batch.edge_sets["swing"])
    users = graph.node_sets["user"]["#id"]
    result = assemble_batch_graph(
        item_ids=unique_ids,
        item_features=item_table(unique_ids),
        seed_item=place_item,
        swing_source=tf.gather(item_of_node, tf.cast(swing.adjacency.source, tf.int32)),
        swing_target=tf.cast(swing.adjacency.target, tf.int32) + tf.repeat(merged.to_place, num_swing),
        swing_features={name: swing[name] for name in ("weight", "propagation_weight")},
        user_ids=users,
        user_features=user_table(users),
        recent_source=merged.recent_place,
        recent_target=tf.cast(recent.adjacency.target, tf.int32),
        recent_age=recent["age"],
        candidate_seed=merged.first_place,
        readout_features=merged.readout,
    )
    return result, merged.labels


def assemble_batch_graph(
    *,
    item_ids: tf.Tensor,
    item_features: Mapping[str, tf.Tensor],
    seed_item: tf.Tensor,
    swing_source: tf.Tensor,
    swing_target: tf.Tensor,
    swing_features: Mapping[str, tf.Tensor],
    user_ids: tf.Tensor,
    user_features: Mapping[str, tf.Tensor],
    recent_source: tf.Tensor,
    recent_target: tf.Tensor,
    recent_age: tf.Tensor,
    candidate_seed: tf.Tensor,
    readout_features: Mapping[str, tf.Tensor],
) -> tfgnn.GraphTensor:
    """Build the batch graph from its tensors (see the module's docstring); every source of batches ends here."""
    impressions = tf.range(tf.shape(user_ids)[0])

    def nodes(features: Mapping[str, tf.Tensor], like: tf.Tensor) -> tfgnn.NodeSet:
        return tfgnn.NodeSet.from_fields(features=dict(features), sizes=tf.shape(like)[:1])

    def edges(
        source: tuple[str, tf.Tensor], target: tuple[str, tf.Tensor], features: Mapping[str, tf.Tensor]
    ) -> tfgnn.EdgeSet:
        adjacency = tfgnn.Adjacency.from_indices(
            (source[0], tf.cast(source[1], tf.int32)), (target[0], tf.cast(target[1], tf.int32))
        )
        return tfgnn.EdgeSet.from_fields(
            features=dict(features), sizes=tf.shape(source[1])[:1], adjacency=adjacency
        )

    return tfgnn.GraphTensor.from_pieces(
        node_sets={
            "item": nodes({"#id": item_ids, **item_features}, item_ids),
            "seed": nodes({"item": tf.cast(seed_item, tf.int32)}, seed_item),
            "user": nodes({"#id": user_ids, **user_features}, user_ids),
            READOUT: nodes(readout_features, user_ids),
        },
        edge_sets={
            "swing": edges(("item", swing_source), ("seed", swing_target), swing_features),
            "recent": edges(("seed", recent_source), ("user", recent_target), {"age": recent_age}),
            f"{READOUT}/candidate": edges(("seed", candidate_seed), (READOUT, impressions), {}),
            f"{READOUT}/user": edges(("user", impressions), (READOUT, impressions), {}),
        },
    )


def _sizes(piece: tfgnn.NodeSet | tfgnn.EdgeSet) -> tf.Tensor:
    """Number of nodes or edges per record; int32 [B]."""
    return tf.cast(tf.reshape(tf.convert_to_tensor(piece.sizes), [-1]), tf.int32)
