"""`AttentionFusion`: the upper level of the two-level fusion."""

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from tf_e2egrec.keras_version import require_keras_2

require_keras_2()

RESIDUALS = ("tokens", "parts")


@tf.keras.utils.register_keras_serializable("tf_e2egrec")
class AttentionFusion(tf.keras.layers.Layer):
    """Multi-head self-attention over the parts as tokens, with a residual (E2E-GRec, upper fusion).

    Each part is projected to `dim` and becomes one token. With a handful of tokens, attention on 2-D tensors
    (one product per pair of tokens) is about twice as fast as the batched form with its transposes and
    strided slices.

    Args:
      dim: width of the tokens.
      heads: attention heads; must divide `dim`.
      residual: what the attended tokens are added to. `tokens`: the projected parts, then LayerNorm, as published. `parts`: the
        parts as they came, each through a projection that starts at zero, so that training starts without attention.

    Call arguments:
      parts: list of [n, d_i] tensors.

    Returns:
      [n, len(parts) * dim], or with `parts` [n, sum of d_i].

    Raises:
      ValueError: `heads` does not divide `dim`, or there is no such residual.

    Example:
      >>> layer = AttentionFusion(dim=16, heads=4)
      >>> parts = [tf.ones([5, 3]), tf.ones([5, 7])]
      >>> layer(parts).shape.as_list()
      [5, 32]
      >>> tf.reduce_sum(layer.attention(parts), axis=1).numpy().round(5).tolist()  # from each token to the others
      [1.0, 1.0]
    """

    def __init__(self, dim: int = 64, heads: int = 8, residual: str = "tokens", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if dim % heads:
            raise ValueError(f"`heads` should divide `dim`. Received: dim={dim}, heads={heads}")
        if residual not in RESIDUALS:
            raise ValueError(f"`residual` should be one of {RESIDUALS}. Received: residual={residual!r}")
        self.dim = dim
        self.heads = heads
        self.residual = residual

    def build(self, input_shape: Sequence[tf.TensorShape]) -> None:
        """Create projections, attention weights and the normalisation."""
        dense = functools.partial(tf.keras.layers.Dense, dtype=self.dtype_policy)
        self.projections = [dense(self.dim, name=f"token_{i}") for i in range(len(input_shape))]
        widths = [int(shape[-1]) for shape in input_shape]
        for projection, width in zip(self.projections, widths, strict=True):
            projection.build((None, width))
        self.query, self.key, self.value = (dense(self.dim, name=name) for name in ("query", "key", "value"))
        for layer in (self.query, self.key, self.value):
            layer.build((None, self.dim))
        if self.residual == "parts":
            self._build_outputs(
                [
                    dense(width, kernel_initializer="zeros", name=f"output_{i}")
                    for i, width in enumerate(widths)
                ]
            )
        else:
            self._build_outputs([dense(self.dim, name="output")])
            self.normalization = tf.keras.layers.LayerNormalization(
                epsilon=1e-6, dtype=self.dtype_policy, name="normalization"
            )
            self.normalization.build((None, self.dim))
        super().build(input_shape)

    def _build_outputs(self, layers: list[tf.keras.layers.Layer]) -> None:
        self.output_projections = layers
        for layer in layers:
            layer.build((None, self.dim))

    def call(self, parts: Sequence[tf.Tensor]) -> tf.Tensor:
        """See the class docstring."""
        count = len(parts)
        tokens = tf.concat(
            [project(part) for project, part in zip(self.projections, parts, strict=True)], axis=0
        )
        weights = self._attention_weights(tokens, count)
        values = tf.split(self.value(tokens), count)
        spread = tf.transpose(self._head_sum())
        attended = [
            tf.add_n([tf.matmul(weights[i][j], spread) * values[j] for j in range(count)])
            for i in range(count)
        ]
        if self.residual == "parts":
            added = [project(token) for project, token in zip(self.output_projections, attended, strict=True)]
            return tf.concat([part + more for part, more in zip(parts, added, strict=True)], axis=-1)
        fused = self.normalization(tokens + self.output_projections[0](tf.concat(attended, axis=0)))
        return tf.concat(tf.split(fused, count), axis=-1)

    def attention(self, parts: Sequence[tf.Tensor]) -> tf.Tensor:
        """Mean attention weight from token i to token j over rows and heads; float32 [parts, parts], for
        logging.
        """
        tokens = tf.concat(
            [project(part) for project, part in zip(self.projections, parts, strict=True)], axis=0
        )
        weights = self._attention_weights(tokens, len(parts))
        return tf.stack(
            [tf.stack([tf.reduce_mean(tf.cast(weight, tf.float32)) for weight in row]) for row in weights]
        )

    def _attention_weights(self, tokens: tf.Tensor, count: int) -> list[list[tf.Tensor]]:
        """Softmax weights [n, heads] from token i (outer list) to token j (inner list)."""
        queries, keys = tf.split(self.query(tokens), count), tf.split(self.key(tokens), count)
        head_sum = self._head_sum()
        scale = (self.dim // self.heads) ** -0.5
        rows = []
        for query in queries:
            scores = [tf.cast(tf.matmul(query * key, head_sum), tf.float32) * scale for key in keys]
            highest = scores[0]
            for score in scores[1:]:
                highest = tf.maximum(highest, score)
            exponents = [tf.exp(score - tf.stop_gradient(highest)) for score in scores]
            total = tf.add_n(exponents)
            rows.append([tf.cast(exponent / total, self.compute_dtype) for exponent in exponents])
        return rows

    def _head_sum(self) -> tf.Tensor:
        """[dim, heads] of zeros and ones that sums the dimensions of each head."""
        return tf.constant(
            np.kron(np.eye(self.heads), np.ones((self.dim // self.heads, 1))), self.compute_dtype
        )

    def get_config(self) -> dict[str, Any]:
        """Constructor arguments."""
        return super().get_config() | {"dim": self.dim, "heads": self.heads, "residual": self.residual}
