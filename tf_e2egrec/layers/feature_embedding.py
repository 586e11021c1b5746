"""`FeatureEmbedding`: declared features to one dense vector per row."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from tf_e2egrec.dataset.description.feature_spec import FeatureSpec
from tf_e2egrec.keras_version import require_keras_2
from tf_e2egrec.layers.key_lookup import KeyLookup

require_keras_2()


@tf.keras.utils.register_keras_serializable("tf_e2egrec")
class FeatureEmbedding(tf.keras.layers.Layer):
    """Embeds categorical features, standardises numeric ones, passes dense vectors, and concatenates.

    Categorical values are looked up by key; unknown and missing values share row 0 (multi-valued features
    average over the values that are present). Numeric values are transformed, standardised and 0 where
    missing.

    Args:
      features: specs, or their dictionaries.
      vocabulary_sizes: number of known keys of each categorical feature, by name.

    Call arguments:
      inputs: mapping of feature name to [n] or [n, width] tensors (int64 keys, float32 numbers).

    Returns:
      [n, output_dim] in the layer's compute dtype.
    """

    def __init__(
        self,
        features: Sequence[FeatureSpec | Mapping[str, Any]],
        vocabulary_sizes: Mapping[str, int],
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.features = [f if isinstance(f, FeatureSpec) else FeatureSpec.model_validate(f) for f in features]
        self.vocabulary_sizes = dict(vocabulary_sizes)
        self.lookups: dict[str, KeyLookup] = {}
        self.embeddings: dict[str, tf.keras.layers.Embedding] = {}
        self.moments: dict[str, tf.Variable] = {}
        for feature in self.features:
            if feature.type == "categorical":
                size = self.vocabulary_sizes[feature.name]
                width = feature.embedding_dim or default_embedding_dim(size)
                self.lookups[feature.name] = KeyLookup(size, name=f"{feature.name}_lookup")
                self.embeddings[feature.name] = tf.keras.layers.Embedding(
                    size + 1, width, name=f"{feature.name}_embedding"
                )
            elif feature.type == "numeric":
                self.moments[feature.name] = self.add_weight(
                    f"{feature.name}_moments",
                    shape=(2,),
                    initializer=_zero_mean_unit_deviation,
                    trainable=False,
                    dtype=tf.float32,
                )

    @property
    def output_dim(self) -> int:
        """Width of the output."""
        return sum(
            self.embeddings[f.name].output_dim if f.type == "categorical" else (f.dimension or 1)
            for f in self.features
        )

    def set_vocabulary(self, name: str, keys: np.ndarray) -> None:
        """Set the known keys of a categorical feature: int64, strictly increasing."""
        self.lookups[name].set_keys(keys)

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
