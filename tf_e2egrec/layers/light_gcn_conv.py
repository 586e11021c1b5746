"""`LightGCNConv`: the LightGCN propagation as a TF-GNN convolution."""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf
import tensorflow_gnn as tfgnn

from tf_e2egrec.keras_version import require_keras_2

require_keras_2()

NORMALIZATIONS = ("row", "sym_local")


@tf.keras.utils.register_keras_serializable("tf_e2egrec")
class LightGCNConv(tf.keras.layers.Layer):
    """One LightGCN hop: ``Z_u = a_0 X_u + a_1 * sum_v p_uv X_v``; a receiver without neighbours keeps ``Z_u =
    X_u``.

    No feature transform and no non-linearity (arXiv 2002.02126, eq. 7, with the residual weights of
    E2E-GRec's X + AX).

    Args:
      layer_weights: (a_0, a_1), which must sum to 1 (otherwise the GFAE loss could be zeroed by shrinking X).
      normalization: `row`: p_uv is the edge weight divided by the receiver's sum of weights (a mean where the
        weights are equal); `sym_local`: w_uv / sqrt(d_u d_v) with weighted degrees inside the given graph.
      weight_feature: the edge feature that holds the weights; None means 1 per edge.

    Call arguments:
      graph: a scalar GraphTensor; its source and target node sets have `tfgnn.HIDDEN_STATE` [n, d].
      edge_set_name: edges from sender (source) to receiver (target).

    Returns:
      [num_receivers, d], fit for `tfgnn.keras.layers.NodeSetUpdate` with `SingleInputNextState`.

    Example:
      >>> x = tf.constant([[1.0], [2.0], [4.0]])
      >>> source, target = tf.constant([1, 2]), tf.constant([0, 0])
      >>> propagate_lightgcn(x, x, source, target, tf.ones(2)).numpy().ravel().tolist()
      [2.0, 2.0, 4.0]
    """

    def __init__(
        self,
        layer_weights: Sequence[float] = (0.5, 0.5),
        normalization: str = "row",
        weight_feature: str | None = "propagation_weight",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if len(layer_weights) != 2 or abs(sum(layer_weights) - 1.0) > 1e-6:
            raise ValueError(
                f"`layer_weights` should be two numbers that sum to 1. Received: layer_weights={layer_weights}"
            )
        if normalization not in NORMALIZATIONS:
            raise ValueError(
                f"`normalization` should be one of {NORMALIZATIONS}. Received: normalization={normalization!r}"
            )
        self.layer_weights = tuple(float(weight) for weight in layer_weights)
        self.normalization = normalization
        self.weight_feature = weight_feature

    def call(self, graph: tfgnn.GraphTensor, edge_set_name: str) -> tf.Tensor:
        """See the class docstring."""
        edge_set = graph.edge_sets[edge_set_name]
        adjacency = edge_set.adjacency
        sender = graph.node_sets[adjacency.source_name][tfgnn.HIDDEN_STATE]
        receiver = graph.node_sets[adjacency.target_name][tfgnn.HIDDEN_STATE]
        weight = (
            edge_set[self.weight_feature]
            if self.weight_feature
            else tf.ones_like(adjacency.source, tf.float32)
        )
        return propagate_lightgcn(
            sender,
            receiver,
            adjacency.source,
            adjacency.target,
            weight,
            self.layer_weights,
            self.normalization,
        )

    def get_config(self) -> dict[str, Any]:
        """Constructor arguments."""
        return super().get_config() | {
            "layer_weights": self.layer_weights,
            "normalization": self.normalization,
            "weight_feature": self.weight_feature,
        }


def propagate_lightgcn(
    sender: tf.Tensor,
    receiver: tf.Tensor,
    source: tf.Tensor,
    target: tf.Tensor,
    weight: tf.Tensor,
    layer_weights: Sequence[float] = (0.5, 0.5),
    normalization: str = "row",
) -> tf.Tensor:
    """The formula of `LightGCNConv` on plain tensors.

    Args:
      sender: [num_senders, d], X of the neighbours.
      receiver: [num_receivers, d], X of the receivers.
      source, target: integer [num_edges], rows of `sender` and `receiver`.
      weight: float32 [num_edges], non-negative; edges of weight 0 do not exist.
      layer_weights: (a_0, a_1).
      normalization: `row` or `sym_local`.

    Returns:
      [num_receivers, d].
    """
    num_senders, num_receivers = tf.shape(sender)[0], tf.shape(receiver)[0]
    in_degree = tf.math.unsorted_segment_sum(weight, target, num_receivers)
    if normalization == "row":
        coefficient = tf.math.divide_no_nan(weight, tf.gather(in_degree, target))
    else:
        out_degree = tf.math.unsorted_segment_sum(weight, source, num_senders)
        coefficient = weight * tf.math.rsqrt(
            tf.maximum(tf.gather(in_degree, target) * tf.gather(out_degree, source), 1e-30)
        )
    messages = aggregate(sender, source, target, coefficient, num_receivers)
    a_0, a_1 = (tf.cast(weight, receiver.dtype) for weight in layer_weights)
    return tf.where(in_degree[:, tf.newaxis] > 0, a_0 * receiver + a_1 * messages, receiver)


def aggregate(
    values: tf.Tensor, source: tf.Tensor, target: tf.Tensor, weight: tf.Tensor, num_targets: tf.Tensor
) -> tf.Tensor:
    """``out[t] = sum over edges (s, t) of weight * values[s]``: a sparse-dense product, whose gradient is its
    transpose.

    The product is computed in float32 whatever the dtype of `values`: that of [num_sources, d] comes back as
      [num_targets, d].
    """
    indices = tf.stack([tf.cast(target, tf.int64), tf.cast(source, tf.int64)], axis=1)
    shape = tf.stack([tf.cast(num_targets, tf.int64), tf.shape(values, out_type=tf.int64)[0]])
    matrix = tf.SparseTensor(indices, tf.stop_gradient(tf.cast(weight, tf.float32)), shape)
    return tf.cast(tf.sparse.sparse_dense_matmul(matrix, tf.cast(values, tf.float32)), values.dtype)
