"""`GraphFeatures`: F_GNN, what the ranker is told about the graph."""

from typing import Any, NamedTuple

import tensorflow as tf
import tensorflow_gnn as tfgnn

from tf_e2egrec.layers import GraphSAGEConv, LightGCNConv
from tf_e2egrec.layers.light_gcn_conv import aggregate
from tf_e2egrec.subgraphs.graph_schema import READOUT


class SeedStates(NamedTuple):
    """States of a batch graph's seeds.

    Attributes:
      x: [S, dim] before the propagation.
      z: [S, dim] after it.
      item_x: [P, dim], X of the distinct items; where it is not needed, without those that are but neighbours.
      has_neighbours: bool [S].
    """

    x: tf.Tensor
    z: tf.Tensor
    item_x: tf.Tensor
    has_neighbours: tf.Tensor


@tf.keras.utils.register_keras_serializable("tf_e2egrec")
class GraphFeatures(tf.keras.layers.Layer):
    """A dense projection of Z of the item, of the user, of the history and of their interactions.

    ``[z_i, z_u, z_i*z_u, z_i*mean z_history, z_i*z_last, mean z_history, dot products, cosine]``

    Args:
      dim: width of the output.

    Call arguments:
      graph: the batch graph.
      states: of its seeds.
      user_z: [B, dim], Z of the users (X in the capacity control).

    Returns:
      [B, dim].
    """

    def __init__(self, dim: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.dim = dim
        self.projection = tf.keras.layers.Dense(dim, name="projection")

    def call(self, graph: tfgnn.GraphTensor, states: SeedStates, user_z: tf.Tensor) -> tf.Tensor:
        """See the class docstring."""
        recent = graph.edge_sets["recent"].adjacency
        users = tf.shape(user_z)[0]
        z_item = tf.gather(states.z, graph.edge_sets[f"{READOUT}/candidate"].adjacency.source)
        ones = tf.ones_like(recent.source, tf.float32)
        number = tf.math.unsorted_segment_sum(ones, recent.target, users)
        share = tf.math.divide_no_nan(ones, tf.gather(number, recent.target))
        history = aggregate(states.z, recent.source, recent.target, share, users)
        return self.combine(z_item, user_z, history, _newest(states.z, recent, number))

    def combine(self, z_item: tf.Tensor, user_z: tf.Tensor, history: tf.Tensor, last: tf.Tensor) -> tf.Tensor:
        """The formula on plain tensors, each [B, width of Z].

        Args:
          z_item: Z of the candidates.
          user_z: Z of the users.
          history: mean Z of the recent items, 0 without any.
          last: Z of the newest of them, 0 without any.

        Returns:
          [B, dim].
        """
        products = [z_item * user_z, z_item * history, z_item * last]
        dots = [tf.reduce_sum(product, axis=-1, keepdims=True) for product in products]
        norms = tf.norm(z_item, axis=-1, keepdims=True) * tf.norm(history, axis=-1, keepdims=True)
        cosine = dots[1] / tf.maximum(norms, 1e-6)
        return self.projection(tf.concat([z_item, user_z, *products, history, *dots, cosine], axis=-1))

    def get_config(self) -> dict[str, Any]:
        """Constructor arguments."""
        return super().get_config() | {"dim": self.dim}


def without_neighbours(graph: tfgnn.GraphTensor, items: tf.Tensor) -> tf.Tensor:
    """The items that are candidates or recent items: the ranker has no use for others, and batch graphs list them last.

    Args:
      graph: the batch graph.
      items: [U, ...], of which the rows up to the last that is the item of a seed are kept.
    """
    placed = tf.maximum(tf.reduce_max(graph.node_sets["seed"]["item"]) + 1, 0)
    return tf.split(items, [placed, tf.shape(items)[0] - placed])[0]


def _newest(z: tf.Tensor, recent: tfgnn.Adjacency, number: tf.Tensor) -> tf.Tensor:
    """Z of each user's newest recent item, 0 without any; [B, width].

    Args:
      z: [S, width].
      recent: edges from recent items to users, newest first.
      number: float32 [B] of recent items.
    """
    first = tf.cast(tf.cumsum(number, exclusive=True), tf.int32)
    padded = tf.concat([recent.source, [0]], axis=0)  # the last users may have none
    found = tf.gather(z, tf.gather(padded, first))
    return found * tf.cast(number > 0, found.dtype)[:, tf.newaxis]


def propagate_to_users(
    graph: tfgnn.GraphTensor,
    states: SeedStates,
    user_x: tf.Tensor,
    convolution: LightGCNConv | GraphSAGEConv,
) -> tf.Tensor:
    """Z of the users [B, dim]: the convolution over the explicit edges to their recent items."""
    recent = graph.edge_sets["recent"].adjacency
    recent_item = tf.gather(graph.node_sets["seed"]["item"], recent.source)
    ones = tf.ones_like(recent.source, tf.float32)
    return convolution.propagate(states.item_x, user_x, recent_item, recent.target, ones)
