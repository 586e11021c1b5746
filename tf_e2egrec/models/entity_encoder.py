"""`EntityEncoder`: the id and the features of an item or a user as one vector."""

from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf

from tf_e2egrec.dataset.description import FeatureSpec
from tf_e2egrec.layers import FeatureEmbedding, KeyLookup
from tf_e2egrec.models.initializers import NormalWithZeroRow


@tf.keras.utils.register_keras_serializable("tf_e2egrec")
class EntityEncoder(tf.keras.layers.Layer):
    """``[ID embedding ; side-feature embeddings ; dense features]`` (the input of E2E-GRec's X).

    Args:
      vocabulary: number of known ids; all others share row 0, which starts at zero.
      dim: width of the id embedding.
      features, vocabulary_sizes: see `FeatureEmbedding`.

    Call arguments:
      nodes: mapping with `#id` int64 [n], or `#row` int64 [n], the rows of the id embedding where they are known, and the
        features by name.

    Returns:
      [n, output_dim]; the first `dim` columns are the id embedding.
    """

    def __init__(
        self,
        vocabulary: int,
        dim: int,
        features: Sequence[FeatureSpec | Mapping[str, Any]],
        vocabulary_sizes: Mapping[str, int],
        **kwargs: Any,
    ) -> None:
        super().__init__(**{**kwargs, "autocast": False})  # numbers stay float32 until they are standardised
        self.vocabulary = vocabulary
        self.dim = dim
        self.id_lookup = KeyLookup(vocabulary, name="id_lookup")
        self.id_embedding = tf.keras.layers.Embedding(
            vocabulary + 1, dim, embeddings_initializer=NormalWithZeroRow(), name="id_embedding"
        )
        self.feature_embedding = (
            FeatureEmbedding(features, vocabulary_sizes, name="features") if features else None
        )

    @property
    def output_dim(self) -> int:
        """Width of the output."""
        return sum(self.widths)

    @property
    def widths(self) -> list[int]:
        """Columns of each field: the id embedding, then the features in order."""
        return [self.dim, *(self.feature_embedding.widths if self.feature_embedding else [])]

    def call(self, nodes: Mapping[str, tf.Tensor]) -> tf.Tensor:
        """See the class docstring."""
        identity = self.id_embedding(nodes["#row"] if "#row" in nodes else self.id_lookup(nodes["#id"]))
        if self.feature_embedding is None:
            return identity
        return tf.concat([identity, self.feature_embedding(nodes)], axis=-1)

    def get_config(self) -> dict[str, Any]:
        """Constructor arguments."""
        embedding = (
            self.feature_embedding.get_config()
            if self.feature_embedding
            else {"features": [], "vocabulary_sizes": {}}
        )
        return super().get_config() | {
            "vocabulary": self.vocabulary,
            "dim": self.dim,
            "features": embedding["features"],
            "vocabulary_sizes": embedding["vocabulary_sizes"],
        }
