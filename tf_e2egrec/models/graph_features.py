"""`GraphFeatures`: F_GNN, what the ranker is told about the graph."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import tensorflow as tf
import tensorflow_gnn as tfgnn

from tf_e2egrec.layers.light_gcn_conv import aggregate, propagate_lightgcn
from tf_e2egrec.subgraphs.graph_schema import READOUT


class SeedStates(NamedTuple):
    """States of a batch graph's seeds.

    Attributes:
      x: [S, dim] before the propagation.
      z: [S, dim] after it.
      item_x: [U, dim], X of the distinct items.
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
      dim: width of the states and of the output.
      layer_weights: (a_0, a_1) of the user's own propagation over recent items.

    Call arguments:
      graph: the batch graph.
      states: of its seeds.
      user_x: [B, dim], X of the users.
      propagate: whether users receive messages (False in the capacity control).

    Returns:
      [B, dim].
    """

    def __init__(self, dim: int, layer_weights: Sequence[float] = (0.5, 0.5), **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.dim = dim
        self.layer_weights = tuple(layer_weights)
        self.projection = tf.keras.layers.Dense(dim, name="projection")

    def call(
        self, graph: tfgnn.GraphTensor, states: SeedStates, user_x: tf.Tensor, propagate: bool
    ) -> tf.Tensor:
        """See the class docstring."""
        recent = graph.edge_sets["recent"].adjacency
        users = tf.shape(user_x)[0]
        z_item = tf.gather(states.z, graph.edge_sets[f"{READOUT}/candidate"].adjacency.source)
        ones = tf.ones_like(recent.source, tf.float32)
        number = tf.math.unsorted_segment_sum(ones, recent.target, users)
        share = tf.math.divide_no_nan(ones, tf.gather(number, recent.target))
        history = aggregate(states.z, recent.source, recent.target, share, users)
        is_newest = (
            tf.concat([tf.ones_like(recent.target[:1]), recent.target[1:] - recent.target[:-1]], 0) > 0
        )
        last = aggregate(states.z, recent.source, recent.target, tf.cast(is_newest, tf.float32), users)
        z_user = user_x
        if propagate:
            recent_item = tf.gather(graph.node_sets["seed"]["item"], recent.source)
            z_user = propagate_lightgcn(
                states.item_x, user_x, recent_item, recent.target, ones, self.layer_weights
            )
        products = [z_item * z_user, z_item * history, z_item * last]
        dots = [tf.reduce_sum(product, axis=-1, keepdims=True) for product in products]
        norms = tf.norm(z_item, axis=-1, keepdims=True) * tf.norm(history, axis=-1, keepdims=True)
        cosine = dots[1] / tf.maximum(norms, 1e-6)
        return self.projection(tf.concat([z_item, z_user, *products, history, *dots, cosine], axis=-1))

    def get_config(self) -> dict[str, Any]:
        """Constructor arguments."""
        return super().get_config() | {"dim": self.dim, "layer_weights": self.layer_weights}
