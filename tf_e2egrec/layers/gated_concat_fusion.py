"""`GatedConcatFusion`: the bottom level of the two-level fusion."""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from tf_e2egrec.keras_version import require_keras_2

require_keras_2()


@tf.keras.utils.register_keras_serializable("tf_e2egrec")
class GatedConcatFusion(tf.keras.layers.Layer):
    """``F_cat = [F_1; ...; F_p]``, ``F_fused = sigmoid(W_g F_cat + b_g) * F_cat`` (E2E-GRec, bottom fusion).

    Args:
      bias: initial b_g; +2 starts with the gates open.

    Call arguments:
      parts: list of [n, d_i] tensors.

    Returns:
      List of tensors of the same shapes, gated.

    Example:
      >>> layer = GatedConcatFusion(bias=0.0)
      >>> layer.build([tf.TensorShape([None, 1]), tf.TensorShape([None, 2])])
      >>> _ = layer.gate.kernel.assign(tf.zeros([3, 3]))  # every gate is sigmoid(0) = 1/2
      >>> [part.numpy().tolist() for part in layer([tf.constant([[2.0]]), tf.constant([[4.0, 6.0]])])]
      [[[1.0]], [[2.0, 3.0]]]
    """

    def __init__(self, bias: float = 2.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.bias = bias

    def build(self, input_shape: Sequence[tf.TensorShape]) -> None:
        """Create the gate's weights."""
        self._widths = [int(shape[-1]) for shape in input_shape]
        self.gate = tf.keras.layers.Dense(
            sum(self._widths),
            activation="sigmoid",
            bias_initializer=tf.keras.initializers.Constant(self.bias),
            dtype=self.dtype_policy,
            name="gate",
        )
        self.gate.build((None, sum(self._widths)))
        super().build(input_shape)

    def call(self, parts: Sequence[tf.Tensor]) -> list[tf.Tensor]:
        """See the class docstring."""
        concatenated = tf.concat(parts, axis=-1)
        return tf.split(self.gate(concatenated) * concatenated, self._widths, axis=-1)

    def openness(self, parts: Sequence[tf.Tensor]) -> list[tf.Tensor]:
        """Mean gate value per part, scalars, for logging."""
        gates = tf.split(self.gate(tf.concat(parts, axis=-1)), self._widths, axis=-1)
        return [tf.reduce_mean(tf.cast(gate, tf.float32)) for gate in gates]

    def get_config(self) -> dict[str, Any]:
        """Constructor arguments."""
        return super().get_config() | {"bias": self.bias}
