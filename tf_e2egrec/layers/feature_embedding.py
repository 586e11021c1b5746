"""`FeatureEmbedding`: declared features to one dense vector per row."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from tf_e2egrec.dataset.description.feature_spec import FeatureSpec
from tf_e2egrec.dataset.ids import MISSING_KEY
from tf_e2egrec.keras_version import require_keras_2
from tf_e2egrec.layers.key_hashing import KeyHashing
from tf_e2egrec.layers.key_lookup import KeyLookup

require_keras_2()


@tf.keras.utils.register_keras_serializable("tf_e2egrec")
class FeatureEmbedding(tf.keras.layers.Layer):
    """Embeds categorical features, standardises numeric ones, passes dense vectors, and concatenates.

    Categorical values are looked up by key, or hashed (into several rows, whose vectors are summed, where the feature has several
    `hashes`); unknown (unless hashed) and missing values share row 0.
    Multi-valued features average over the values that are present. Numeric values are transformed, standardised
    and 0 where missing. Under mixed precision the numbers stay float32 until they are standardised.

    Args:
      features: specs, or their dictionaries.
      vocabulary_sizes: number of known keys of each categorical feature that is not hashed, by name.

    Call arguments:
      inputs: mapping of feature name to [n] or [n, width] tensors (int64 keys, float32 numbers).

    Returns:
      [n, output_dim] in the layer's compute dtype.

    Raises:
      ValueError: a categorical feature has neither a vocabulary size nor hash buckets.

    Example:
      >>> layer = FeatureEmbedding(
      ...     [FeatureSpec(name="genre", type="categorical", embedding_dim=2),
      ...      FeatureSpec(name="author", type="categorical", hash_buckets=100, embedding_dim=3),
      ...      FeatureSpec(name="length", type="numeric", transform="log1p"),
      ...      FeatureSpec(name="content", type="dense", dimension=2)],
      ...     vocabulary_sizes={"genre": 2})
      >>> layer.set_vocabulary("genre", np.array([4, 7]))
      >>> layer.set_moments("length", mean=1.0, deviation=2.0)
      >>> output = layer({
      ...     "genre": tf.constant([7, -1], tf.int64), "author": tf.constant([12, 34], tf.int64),
      ...     "length": tf.constant([0.0, np.nan]), "content": tf.constant([[5.0, 6.0], [7.0, 8.0]])})
      >>> output[:, 5:].numpy().tolist()
      [[-0.5, 5.0, 6.0], [0.0, 7.0, 8.0]]
      >>> layer.widths
      [2, 3, 1, 2]
    """

    def __init__(
        self,
        features: Sequence[FeatureSpec | Mapping[str, Any]],
        vocabulary_sizes: Mapping[str, int],
        **kwargs: Any,
    ) -> None:
        # The log of a large number fits float16, the number itself may not.
        super().__init__(**{**kwargs, "autocast": False})
        self.features = [f if isinstance(f, FeatureSpec) else FeatureSpec.model_validate(f) for f in features]
        self.vocabulary_sizes = dict(vocabulary_sizes)
        self.lookups: dict[str, KeyLookup | KeyHashing | tf.keras.layers.Hashing] = {}
        self.embeddings: dict[str, tf.keras.layers.Embedding] = {}
        self.moments: dict[str, tf.Variable] = {}
        for feature in self.features:
            if feature.type == "categorical":
                size = self._create_lookup(feature)
                width = feature.embedding_dim or default_embedding_dim(size)
                self.embeddings[feature.name] = tf.keras.layers.Embedding(
                    size + 1, width, dtype=self.dtype_policy, name=f"{feature.name}_embedding"
                )
            elif feature.type == "numeric":
                self.moments[feature.name] = self.add_weight(
                    f"{feature.name}_moments",
                    shape=(2,),
                    initializer=_zero_mean_unit_deviation,
                    trainable=False,
                    dtype=tf.float32,
                    experimental_autocast=False,
                )

    def _create_lookup(self, feature: FeatureSpec) -> int:
        """Create what turns keys into rows; the number of rows beside row 0."""
        name = f"{feature.name}_lookup"
        if feature.hash_buckets is not None:
            self.lookups[feature.name] = (
                KeyHashing(feature.hash_buckets, feature.hashes, name=name)
                if feature.hashes > 1
                else tf.keras.layers.Hashing(feature.hash_buckets + 1, mask_value=MISSING_KEY, name=name)
            )
            return feature.hash_buckets
        if feature.name not in self.vocabulary_sizes:
            raise ValueError(
                f"`vocabulary_sizes` should name every categorical feature without `hash_buckets`. Received: "
                f"vocabulary_sizes={self.vocabulary_sizes}, which lacks {feature.name!r}"
            )
        size = self.vocabulary_sizes[feature.name]
        self.lookups[feature.name] = KeyLookup(size, name=name)
        return size

    @property
    def output_dim(self) -> int:
        """Width of the output."""
        return sum(self.widths)

    @property
    def widths(self) -> list[int]:
        """Columns of the output per feature, in order."""
        return [
            self.embeddings[f.name].output_dim if f.type == "categorical" else (f.dimension or 1)
            for f in self.features
        ]

    def set_vocabulary(self, name: str, keys: np.ndarray) -> None:
        """Set the known keys of a categorical feature: int64, strictly increasing.

        Raises:
          ValueError: the feature is hashed and has no vocabulary, or the keys do not fit (see `KeyLookup`).
        """
        lookup = self.lookups[name]
        if not isinstance(lookup, KeyLookup):
            raise ValueError(
                f"`name` should be a feature with a vocabulary. Received: name={name!r}, which is hashed"
            )
        lookup.set_keys(keys)

    def set_moments(self, name: str, mean: float, deviation: float) -> None:
        """Set a numeric feature's mean and standard deviation (after its transform)."""
        self.moments[name].assign([mean, max(deviation, 1e-6)])

    def call(self, inputs: Mapping[str, tf.Tensor]) -> tf.Tensor:
        """See the class docstring."""
        parts = [
            tf.cast(self._embed(feature, inputs[feature.name]), self.compute_dtype)
            for feature in self.features
        ]
        return tf.concat(parts, axis=-1)

    def _embed(self, feature: FeatureSpec, values: tf.Tensor) -> tf.Tensor:
        if feature.type == "categorical":
            vectors = self.embeddings[feature.name](self.lookups[feature.name](values))
            if feature.hashes > 1:
                vectors = tf.reduce_sum(vectors, axis=-2)
            return _mean_of_present(vectors, values) if feature.multivalued else vectors
        if feature.type == "numeric":
            mean, deviation = tf.unstack(self.moments[feature.name])
            standard = (transform_numeric(values, feature.transform) - mean) / deviation
            return tf.where(tf.math.is_finite(standard), standard, 0.0)[:, tf.newaxis]
        return values

    def get_config(self) -> dict[str, Any]:
        """Constructor arguments."""
        features = [feature.model_dump(mode="json") for feature in self.features]
        return super().get_config() | {"features": features, "vocabulary_sizes": self.vocabulary_sizes}


def default_embedding_dim(vocabulary_size: int) -> int:
    """Width of a categorical feature's embedding: 1.6 * size ** 0.56, between 4 and 32."""
    return int(np.clip(round(1.6 * max(vocabulary_size, 1) ** 0.56), 4, 32))


def transform_numeric(values: tf.Tensor, transform: str) -> tf.Tensor:
    """Apply `log1p` (of the positive part) or nothing; float32 in, float32 out."""
    return tf.math.log1p(tf.maximum(values, 0.0)) if transform == "log1p" else values


def _mean_of_present(vectors: tf.Tensor, keys: tf.Tensor) -> tf.Tensor:
    present = tf.cast(keys >= 0, vectors.dtype)[..., tf.newaxis]
    return tf.math.divide_no_nan(tf.reduce_sum(vectors * present, axis=-2), tf.reduce_sum(present, axis=-2))


def _zero_mean_unit_deviation(shape: Any, dtype: tf.DType = tf.float32, **_: Any) -> tf.Tensor:
    del shape
    return tf.constant([0.0, 1.0], dtype)
