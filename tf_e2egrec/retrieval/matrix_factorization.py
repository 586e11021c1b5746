"""`MatrixFactorization`: embeddings trained without any graph."""

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from tf_e2egrec.retrieval.recommender import Recommender


class MatrixFactorization(Recommender):
    """Matrix factorisation by BPR (arXiv 1205.2618) or another loss of `Recommender`, such as DirectAU's (arXiv 2206.12811).

    Args:
      users, items: how many there are.
      convolution: what the trained table goes through before it is used, float32 [users + items, dim] to the same; training
        knows nothing of it.
      **kwargs: see `Recommender`.
    """

    def __init__(
        self,
        users: int,
        items: int,
        convolution: Callable[[tf.Tensor], tf.Tensor] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(users, items, **kwargs)
        self.convolution = convolution

    def training_table(self) -> tf.Variable:
        """The embeddings as they are."""
        return self.embeddings

    def final_table(self) -> tf.Tensor:
        """The embeddings, convolved where a convolution was given."""
        table = tf.convert_to_tensor(self.embeddings)
        return table if self.convolution is None else self.convolution(table)
