"""`GraphSAGEConv`: the mean aggregator of GraphSAGE, the alternative encoder of the ablation."""

from typing import Any

import tensorflow as tf
import tensorflow_gnn as tfgnn

from tf_e2egrec.keras_version import require_keras_2
from tf_e2egrec.layers.light_gcn_conv import aggregate

require_keras_2()


@tf.keras.utils.register_keras_serializable("tf_e2egrec")
class GraphSAGEConv(tf.keras.layers.Layer):
    """``Z_u = act(W_self X_u + W_neigh * mean_v X_v + b)`` (GraphSAGE, arXiv 1706.02216, algorithm 1, mean).

    `tensorflow_gnn.models.graph_sage` has the same layer (with equal weights the two agree to float32), but its
    mean ignores edge weights: the few heaviest neighbours of evaluation and serving would count alike, and a
    padding edge of weight 0 would count at all. Its inner layers also follow Keras' global dtype policy instead
    of this layer's own.

    Args:
      units: width of the output.
      activation: a Keras activation. The authors leave it out in the last layer, and so should a GFAE loss, which
        compares Z with an X of both signs.
      l2_normalize: whether to scale each row of Z to length 1 (the authors do).
      weight_feature: the edge feature with the weights of the mean; None means 1 per edge.

    Call arguments:
      graph: a scalar GraphTensor; its source and target node sets have `tfgnn.HIDDEN_STATE` [n, d]; the
        two widths may differ.
      edge_set_name: edges from sender (source) to receiver (target).

    Returns:
      [num_receivers, units]; the mean of no neighbours is zero.

    Example:
      >>> graph = tfgnn.homogeneous(
      ...     tf.constant([1, 2]), tf.constant([0, 0]),
      ...     node_features={tfgnn.HIDDEN_STATE: tf.constant([[1.0], [2.0], [4.0]])})
      >>> layer = GraphSAGEConv(1, weight_feature=None)
      >>> layer(graph, edge_set_name="edges").shape.as_list()
      [3, 1]
      >>> for weight, value in zip(layer.weights, (1.0, 0.5, 10.0)):  # W_self, b, W_neigh
      ...     _ = weight.assign(tf.fill(weight.shape, value))
      >>> layer(graph, edge_set_name="edges").numpy().ravel().tolist()
      [31.5, 2.5, 4.5]
    """

    def __init__(
        self,
        units: int,
        activation: Any = "relu",
        l2_normalize: bool = False,
        weight_feature: str | None = "propagation_weight",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.units = units
        self.activation = tf.keras.activations.get(activation)
        self.l2_normalize = l2_normalize
        self.weight_feature = weight_feature
        self.self_transform = tf.keras.layers.Dense(units, dtype=self.dtype_policy, name="self")
        self.neighbour_transform = tf.keras.layers.Dense(
            units, use_bias=False, dtype=self.dtype_policy, name="neighbour"
        )

    def call(self, graph: tfgnn.GraphTensor, edge_set_name: str) -> tf.Tensor:
        """See the class docstring."""
        edge_set = graph.edge_sets[edge_set_name]
        adjacency = edge_set.adjacency
        weight = (
            edge_set[self.weight_feature]
            if self.weight_feature
            else tf.ones_like(adjacency.source, tf.float32)
        )
        return self.propagate(
            graph.node_sets[adjacency.source_name][tfgnn.HIDDEN_STATE],
            graph.node_sets[adjacency.target_name][tfgnn.HIDDEN_STATE],
            adjacency.source,
            adjacency.target,
            weight,
        )

    def propagate(
        self, sender: tf.Tensor, receiver: tf.Tensor, source: tf.Tensor, target: tf.Tensor, weight: tf.Tensor
    ) -> tf.Tensor:
        """The layer on plain tensors, which are those of `propagate_lightgcn`; [num_receivers, units]."""
        count = tf.shape(receiver)[0]
        degree = tf.math.unsorted_segment_sum(weight, target, count)
        share = tf.math.divide_no_nan(weight, tf.gather(degree, target))
        mean = aggregate(sender, source, target, share, count)
        return self.from_mean(receiver, mean)

    def from_mean(
        self, receiver: tf.Tensor, mean: tf.Tensor, has_neighbours: tf.Tensor | None = None
    ) -> tf.Tensor:
        """The layer on receivers [n, d] whose neighbours' weighted mean is known [n, d], 0 where there are none."""
        del has_neighbours  # which LightGCN needs
        z = self.activation(self.self_transform(receiver) + self.neighbour_transform(mean))
        return tf.math.l2_normalize(z, axis=-1) if self.l2_normalize else z

    def get_config(self) -> dict[str, Any]:
        """Constructor arguments."""
        return super().get_config() | {
            "units": self.units,
            "activation": tf.keras.activations.serialize(self.activation),
            "l2_normalize": self.l2_normalize,
            "weight_feature": self.weight_feature,
        }
