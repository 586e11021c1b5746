"""Initialisers with a shape that matters."""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf


@tf.keras.utils.register_keras_serializable("tf_e2egrec")
class IdentityOnTop(tf.keras.initializers.Initializer):
    """A [n, d] kernel that is the identity on the first d inputs (the id embedding) and Glorot-uniform on the
    rest (n >= d).
    """

    def __call__(self, shape: Sequence[int], dtype: tf.DType = tf.float32, **_: Any) -> tf.Tensor:
        """The initial value."""
        rows, columns = shape
        identity = tf.eye(min(rows, columns), columns, dtype=dtype)
        if rows <= columns:
            return identity
        return tf.concat(
            [identity, tf.keras.initializers.GlorotUniform()((rows - columns, columns), dtype)], axis=0
        )


@tf.keras.utils.register_keras_serializable("tf_e2egrec")
class NormalWithZeroRow(tf.keras.initializers.Initializer):
    """Normal values, but row 0 (unknown ids) is zero.

    Args:
      stddev: of the other rows.
    """

    def __init__(self, stddev: float = 0.05) -> None:
        self.stddev = stddev

    def __call__(self, shape: Sequence[int], dtype: tf.DType = tf.float32, **_: Any) -> tf.Tensor:
        """The initial value."""
        values = tf.random.normal(shape, stddev=self.stddev, dtype=dtype)
        return tf.concat([tf.zeros_like(values[:1]), values[1:]], axis=0)

    def get_config(self) -> dict[str, Any]:
        """Constructor arguments."""
        return {"stddev": self.stddev}
