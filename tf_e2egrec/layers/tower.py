"""`Tower`: hidden layers and one logit."""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf
import tensorflow_recommenders as tfrs

from tf_e2egrec.keras_version import require_keras_2

require_keras_2()


@tf.keras.utils.register_keras_serializable("tf_e2egrec")
class Tower(tf.keras.layers.Layer):
    """A multilayer perceptron with one output per row.

    Args:
      units: widths of the hidden layers (ReLU).
      dropout: rate before the output.

    Call arguments:
      inputs: [n, d].

    Returns:
      float32 [n], the logit or the raw regression output.

    Example:
      >>> Tower(units=(8, 4))(tf.ones([5, 3])).shape.as_list()
      [5]
    """

    def __init__(self, units: Sequence[int] = (64,), dropout: float = 0.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.units = tuple(units)
        self.dropout = dropout
        self.hidden = (
            tfrs.layers.blocks.MLP(list(self.units), activation="relu", final_activation="relu")
            if self.units
            else None
        )
        # A generator of its own: its state goes into the checkpoints of an interrupted run.
        self.drop = tf.keras.layers.Dropout(dropout, force_generator=True)
        # Logits stay float32 under mixed precision: sigmoid and exp need the range.
        self.head = tf.keras.layers.Dense(1, dtype=tf.float32, name="head")

    def call(self, inputs: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        """See the class docstring."""
        hidden = self.hidden(inputs) if self.hidden is not None else inputs
        return tf.squeeze(self.head(self.drop(hidden, training=training)), axis=-1)

    def get_config(self) -> dict[str, Any]:
        """Constructor arguments."""
        return super().get_config() | {"units": self.units, "dropout": self.dropout}
