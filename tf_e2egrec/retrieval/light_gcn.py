"""`LightGCN`: graph convolution in training, over the whole graph at every step."""

from typing import Any

import tensorflow as tf

from tf_e2egrec.retrieval.convolution import light_gcn_convolution
from tf_e2egrec.retrieval.recommender import Recommender
from tf_e2egrec.retrieval.user_item_graph import UserItemGraph


class LightGCN(Recommender):
    """LightGCN (arXiv 2002.02126) by any loss of `Recommender`. `tf_e2egrec.LightGCN` is its propagation as a layer for sampled graphs.

    Args:
      graph: of the training pairs.
      layers: hops.
      **kwargs: see `Recommender`.
    """

    def __init__(self, graph: UserItemGraph, layers: int = 2, **kwargs: Any) -> None:
        super().__init__(graph.users, graph.items, **kwargs)
        self.graph, self.layers_of_graph = graph, layers

    def training_table(self) -> tf.Tensor:
        """The convolved embeddings."""
        return light_gcn_convolution(self.graph, tf.convert_to_tensor(self.embeddings), self.layers_of_graph)

    def final_table(self) -> tf.Tensor:
        """The same."""
        return self.training_table()
