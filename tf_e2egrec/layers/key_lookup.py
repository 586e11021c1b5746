"""`KeyLookup`: int64 keys to embedding rows."""

from typing import Any

import numpy as np
import tensorflow as tf

from tf_e2egrec.keras_version import require_keras_2
from tf_e2egrec.subgraphs.sorted_keys import sorted_rows

require_keras_2()


@tf.keras.utils.register_keras_serializable("tf_e2egrec")
class KeyLookup(tf.keras.layers.Layer):
    """Maps a key to 1 + its rank in a sorted vocabulary, and every other key to row 0.

    A binary search in a saved weight: no hash table has to be initialised when the model is loaded, in Python
      or by a server.

    Args:
      size: number of keys in the vocabulary.

    Example:
      >>> lookup = KeyLookup(3)
      >>> lookup.set_keys(np.array([10, 20, 30]))
      >>> lookup(tf.constant([20, 99, -1], tf.int64)).numpy().tolist()
      [2, 0, 0]
    """

    def __init__(self, size: int, **kwargs: Any) -> None:
        kwargs["trainable"] = False
        super().__init__(**kwargs)
        self.size = size
        self.keys = self.add_weight(
            "keys", shape=(size,), dtype=tf.int64, initializer="zeros", trainable=False
        )

    def set_keys(self, keys: np.ndarray) -> None:
        """Set the vocabulary.

        Args:
          keys: int64 [size], strictly increasing.

        Raises:
          ValueError: wrong length or order.
        """
        keys = np.asarray(keys, np.int64)
        if keys.shape != (self.size,) or np.any(np.diff(keys) <= 0):
            raise ValueError(
                f"`keys` should be {self.size} strictly increasing integers. Received: shape {keys.shape}"
            )
        self.keys.assign(keys)

    def call(self, keys: tf.Tensor) -> tf.Tensor:
        """int64 keys of any shape -> int64 rows in [0, size]."""
        return sorted_rows(self.keys, keys) + 1

    def get_config(self) -> dict[str, Any]:
        """Constructor arguments."""
        return super().get_config() | {"size": self.size}
