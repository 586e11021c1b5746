"""`LightGCN`: graph convolution in training, over the whole graph at every step."""

import functools
from collections.abc import Sequence
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
      layer_weights: a_0 of the embeddings themselves and a_1, a_2, ... of each hop, which sum to 1; 1 / (layers + 1) each when absent.
      **kwargs: see `Recommender`.

    Attributes:
      graph: the same.
    """

    def __init__(
        self,
        graph: UserItemGraph,
        layers: int = 2,
        layer_weights: Sequence[float] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(graph.users, graph.items, **kwargs)
        self.graph = graph
        self._convolve = functools.partial(
            light_gcn_convolution, graph, layers=layers, layer_weights=layer_weights
        )

    def training_table(self) -> tf.Tensor:
        """The convolved embeddings."""
        return self._convolve(tf.convert_to_tensor(self.embeddings))

    def final_table(self) -> tf.Tensor:
        """The same."""
        return self.training_table()
