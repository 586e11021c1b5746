"""`KeyHashing`: int64 keys to one or several embedding rows, without a vocabulary."""

from typing import Any

import tensorflow as tf

from tf_e2egrec.dataset.ids import MISSING_KEY
from tf_e2egrec.keras_version import require_keras_2

require_keras_2()


@tf.keras.utils.register_keras_serializable("tf_e2egrec")
class KeyHashing(tf.keras.layers.Layer):
    """Hashes a key into `hashes` rows of one table, each by a hash of its own; a missing key has row 0 alone.

    Two keys share one row of b with probability 1 / b, but all of h rows with about h! / b^h: the sum of h rows tells keys apart that
    one row cannot, in a table that does not grow (hash embeddings, arXiv 1709.03933, without the learned weights).

    Args:
      buckets: rows beside row 0.
      hashes: rows of a key.

    Call arguments:
      keys: int64 of any shape.

    Returns:
      int64 rows in [0, buckets], with one more dimension of `hashes`.

    Example:
      >>> KeyHashing(buckets=10, hashes=2)(tf.constant([7, -1], tf.int64)).shape.as_list()
      [2, 2]
    """

    def __init__(self, buckets: int, hashes: int, **kwargs: Any) -> None:
        super().__init__(**(kwargs | {"trainable": False}))
        self.buckets, self.hashes = buckets, hashes
        self._one_by_one = [
            tf.keras.layers.Hashing(
                buckets + 1,
                mask_value=MISSING_KEY,
                salt=[salt, salt] if salt > 0 else None,
                name=f"hash_{salt}",
            )
            for salt in range(hashes)
        ]

    def call(self, keys: tf.Tensor) -> tf.Tensor:
        """See the class docstring."""
        return tf.stack([one(keys) for one in self._one_by_one], axis=-1)

    def get_config(self) -> dict[str, Any]:
        """Constructor arguments."""
        return super().get_config() | {"buckets": self.buckets, "hashes": self.hashes}
