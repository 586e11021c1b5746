"""LightGCN's propagation over the whole graph of users and items."""

from collections.abc import Sequence

import tensorflow as tf

from tf_e2egrec.retrieval.user_item_graph import UserItemGraph


def light_gcn_convolution(
    graph: UserItemGraph, x: tf.Tensor, layers: int, layer_weights: Sequence[float] | None = None
) -> tf.Tensor:
    """``Z = sum_k a_k Â^k X`` (arXiv 2002.02126, eq. 4): `tf_e2egrec.LightGCN` of K hops on the whole graph.

    As there, a node without neighbours keeps its X.

    Args:
      graph: of the training pairs.
      x: float32 [U + I, d].
      layers: K.
      layer_weights: a_0..a_K, which sum to 1; 1 / (K + 1) each when absent.

    Returns:
      float32 [U + I, d].
    """
    states = [x, *graph.powers(x, layers)]
    if layer_weights is None:
        z = tf.add_n(states) / (layers + 1)
    else:
        z = tf.add_n(
            [weight * state for weight, state in zip(layer_weights, states, strict=True) if weight > 0]
        )
    return tf.where(graph.has_neighbours, z, x)
