"""LightGCN's propagation over the whole graph of users and items."""

import tensorflow as tf

from tf_e2egrec.retrieval.user_item_graph import UserItemGraph


def light_gcn_convolution(graph: UserItemGraph, x: tf.Tensor, layers: int) -> tf.Tensor:
    """``Z = mean of X, Â X, ..., Â^K X`` (arXiv 2002.02126, eq. 8): `tf_e2egrec.LightGCN` of K hops on the whole graph.

    As there, a node without neighbours keeps its X.

    Args:
      graph: of the training pairs.
      x: float32 [U + I, d].
      layers: K.

    Returns:
      float32 [U + I, d].
    """
    mean = tf.add_n([x, *graph.powers(x, layers)]) / (layers + 1)
    return tf.where(graph.has_neighbours, mean, x)
